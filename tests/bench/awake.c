/* Keeps one core out of its idle state.
 *
 *     awake CORE idle|busy
 *
 * A core that halts takes tens of microseconds to wake, in a virtual machine more than a whole round trip, and
 * whether it halts is chance. `idle` (SCHED_IDLE) yields to everybody, and the scheduler still sees a free core.
 * `busy` runs as an ordinary program does: the scheduler then leaves the threads that the bench wakes where it
 * woke them, which a nice value does not achieve. Ends with its parent.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
    struct sched_param none = {0};
    cpu_set_t core;
    int failed = 0;

    if (argc != 3) {
        fprintf(stderr, "usage: awake CORE idle|busy\n");
        return 2;
    }
    CPU_ZERO(&core);
    CPU_SET(atoi(argv[1]), &core);
    if (!strcmp(argv[2], "idle"))
        failed = sched_setscheduler(0, SCHED_IDLE, &none);
    if (failed || prctl(PR_SET_PDEATHSIG, SIGKILL) || sched_setaffinity(0, sizeof core, &core)) {
        perror("awake");
        return 1;
    }
    for (volatile unsigned long turns = 0;; turns++)
        ;
}
