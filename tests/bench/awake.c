/* Keeps one core out of its idle state, at a priority that yields to everybody.
 *
 *     awake CORE idle|busy
 *
 * A core that halts takes tens of microseconds to wake, in a virtual machine more than a whole round trip, and
 * whether it halts is chance. `idle` (SCHED_IDLE) lets the scheduler still see a free core; `busy` (nice 19) does
 * not, so that it leaves woken threads where they are. Ends with its parent.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int main(int argc, char **argv)
{
    struct sched_param none = {0};
    cpu_set_t core;
    int failed;

    if (argc != 3) {
        fprintf(stderr, "usage: awake CORE idle|busy\n");
        return 2;
    }
    CPU_ZERO(&core);
    CPU_SET(atoi(argv[1]), &core);
    if (!strcmp(argv[2], "idle"))
        failed = sched_setscheduler(0, SCHED_IDLE, &none);
    else
        failed = setpriority(PRIO_PROCESS, 0, 0);
    if (failed || prctl(PR_SET_PDEATHSIG, SIGKILL) || sched_setaffinity(0, sizeof core, &core)) {
        perror("awake");
        return 1;
    }
    for (volatile unsigned long turns = 0;; turns++)
        ;
}
