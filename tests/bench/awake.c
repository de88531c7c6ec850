/* Keeps one core out of its idle state, at a priority that yields to everything.
 *
 *     awake CORE
 *
 * A core that halts takes tens of microseconds to wake, in a virtual machine more than a whole round trip, and
 * whether it halts is chance. Ends with its parent.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
    struct sched_param none = {0};
    cpu_set_t core;

    if (argc != 2) {
        fprintf(stderr, "usage: awake CORE\n");
        return 2;
    }
    CPU_ZERO(&core);
    CPU_SET(atoi(argv[1]), &core);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || sched_setaffinity(0, sizeof core, &core) ||
        sched_setscheduler(0, SCHED_IDLE, &none)) {
        perror("awake");
        return 1;
    }
    for (volatile unsigned long turns = 0;; turns++)
        ;
}
