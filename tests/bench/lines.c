/* RTUs on many serial lines, and a master for each, who asks again as soon as he has his answer: saturated lines.
 *
 *     lines TRAFFIC CHUNK_OCTETS OCTET_NS WARM_UP_S SECONDS TTY:TCP [TTY:TCP ...]
 *
 * TTY and TCP are inherited descriptors: the RTU's end of a pty, and the master's connection to the bridge. TRAFFIC
 * is a file: two octets (low first) with a size, then 16 requests, one per application sequence number; then the same
 * of the answers.
 *
 * The wire is in the RTU. A request takes its octets times OCTET_NS before the RTU has it; then the answer arrives as
 * a UART would deliver it, CHUNK_OCTETS at a time, each piece when its last octet has left the wire.
 *
 * Added latency is all that is not wire: from the master's write to the RTU's read, and from the RTU's last write to
 * the master's last read. That this program may itself be late with that write is not in it, and is reported.
 *
 * Writes "begin" after the warm-up and "end" after the measuring time, each on a line of stdout, then the figures as
 * JSON. Ends in any case within 11 s more. Exit status: 0 measured, 1 the bridge hung up or nothing was answered, 2 usage.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MOST_LINES 256
#define LARGEST 292
#define SEQUENCES 16
#define ANSWER_TIMEOUT_NS 2000000000LL
#define TIMER UINT32_MAX

enum state { RESTS, ASKED, ANSWERS, ANSWERED };

struct line {
    int tty, tcp;
    enum state state;
    unsigned sequence;
    int64_t due_ns;                 /* when something is to be done next */
    int64_t asked_ns, there_ns;     /* the master's write, and how long until the RTU read it */
    int64_t answers_ns;             /* when the request has left the wire */
    int64_t written_ns, late_ns;    /* the RTU's last write, and how late that was */
    size_t heard, put, got;         /* octets of the request at the RTU, of the answer there and at the master */
    unsigned char request[LARGEST + 1], answer[LARGEST + 1];
    unsigned long exchanges;
};

struct traffic {
    size_t size;
    unsigned char octets[SEQUENCES][LARGEST];
};

static struct traffic requests, answers;
static struct line lines[MOST_LINES];
static size_t line_count, chunk;
static int64_t octet_ns;

static int is_measuring;
static unsigned long damaged, lost;
static size_t sample_count, room;
static float *added_us, *late_us;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void load(FILE *file, struct traffic *traffic)
{
    unsigned char head[2];

    if (!file || fread(head, 1, 2, file) != 2)
        fail("traffic");
    traffic->size = head[0] | head[1] << 8;
    if (traffic->size > LARGEST)
        fail("traffic");
    for (int i = 0; i < SEQUENCES; i++)
        if (fread(traffic->octets[i], 1, traffic->size, file) != traffic->size)
            fail("traffic");
}

static void put(int fd, const unsigned char *octets, size_t count)
{
    while (count) {
        ssize_t done = write(fd, octets, count);
        if (done < 0)
            fail("the bridge hung up");
        octets += done;
        count -= done;
    }
}

/* ------------------------------------------------------------------------------------------------ a line */

static void ask(struct line *line)
{
    line->sequence = (line->sequence + 1) % SEQUENCES;
    line->heard = line->put = line->got = 0;
    line->state = ASKED;
    line->asked_ns = now_ns();
    line->due_ns = line->asked_ns + ANSWER_TIMEOUT_NS;
    put(line->tcp, requests.octets[line->sequence], requests.size);
}

/* The RTU writes what is due of its answer. */
static void go_on_answering(struct line *line, int64_t now)
{
    const unsigned char *answer = answers.octets[line->sequence];

    while (line->put < answers.size && line->due_ns <= now) {
        size_t left = answers.size - line->put, piece = left < chunk ? left : chunk;
        line->written_ns = now_ns();
        line->late_ns = line->written_ns - line->due_ns;
        put(line->tty, answer + line->put, piece);
        line->put += piece;
        left -= piece;
        line->due_ns = line->answers_ns + (int64_t)(line->put + (left < chunk ? left : chunk)) * octet_ns;
    }
    if (line->put == answers.size) {
        line->state = ANSWERED;
        line->due_ns = now + ANSWER_TIMEOUT_NS;
    }
}

static void on_due(struct line *line, int64_t now)
{
    if (line->state == ANSWERS) {
        go_on_answering(line, now);
        return;
    }
    lost += line->state != RESTS && is_measuring;
    ask(line);
}

/* The RTU hears octets of a request. */
static void on_tty(struct line *line)
{
    int64_t now;
    ssize_t got = read(line->tty, line->request + line->heard, sizeof line->request - line->heard);

    now = now_ns();
    if (got <= 0)
        fail("the bridge closed the line");
    line->heard += got;
    if (line->state != ASKED || line->heard < requests.size)
        return;
    if (line->heard > requests.size || memcmp(line->request, requests.octets[line->sequence], requests.size)) {
        damaged += is_measuring;
        line->heard = 0; /* no answer: the master asks again after his timeout */
        return;
    }
    line->state = ANSWERS;
    line->there_ns = now - line->asked_ns;
    line->answers_ns = now + (int64_t)requests.size * octet_ns;
    line->due_ns = line->answers_ns + (int64_t)(answers.size < chunk ? answers.size : chunk) * octet_ns;
    line->heard = 0;
}

/* The master gets octets of the answer. */
static void on_tcp(struct line *line)
{
    int64_t now;
    ssize_t got = read(line->tcp, line->answer + line->got, sizeof line->answer - line->got);

    now = now_ns();
    if (got <= 0)
        fail("the bridge hung up");
    line->got += got;
    if (line->got < answers.size)
        return;
    if (line->state != ANSWERED || line->got != answers.size ||
        memcmp(line->answer, answers.octets[line->sequence], answers.size)) {
        damaged += is_measuring;
        line->got = 0;
        return;
    }
    if (is_measuring && sample_count < room) {
        added_us[sample_count] = (line->there_ns + now - line->written_ns) / 1000.0f;
        late_us[sample_count++] = line->late_ns / 1000.0f;
    }
    line->exchanges += is_measuring;
    ask(line);
}

/* ------------------------------------------------------------------------------------------------ all lines */

static void watch(int epoll, int fd, uint32_t what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = what};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll_ctl");
}

/* Does what is due; returns when the next thing is. */
static int64_t do_due(int64_t now)
{
    int64_t next = INT64_MAX;

    for (size_t i = 0; i < line_count; i++) {
        if (lines[i].due_ns <= now)
            on_due(&lines[i], now);
        if (lines[i].due_ns < next)
            next = lines[i].due_ns;
    }
    return next;
}

static void run_until(int64_t end_ns, int epoll, int timer)
{
    struct epoll_event ready[64];
    int64_t now, next, armed = -1;

    while ((now = now_ns()) < end_ns) {
        int count;

        next = do_due(now);
        if (next > end_ns)
            next = end_ns;
        if (next != armed) {
            struct itimerspec at = {.it_value = {next / 1000000000, next % 1000000000}};
            timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
            armed = next;
        }
        count = epoll_wait(epoll, ready, 64, -1);
        for (int i = 0; i < count; i++) {
            uint32_t what = ready[i].data.u32;
            if (what == TIMER)
                continue; /* what was due is done above, and setting it anew takes the event back */
            if (what & 1)
                on_tcp(&lines[what >> 1]);
            else
                on_tty(&lines[what >> 1]);
        }
    }
}

static int by_size(const void *one, const void *other)
{
    float a = *(const float *)one, b = *(const float *)other;

    return (a > b) - (a < b);
}

static void report(double seconds)
{
    unsigned long fewest = lines[0].exchanges, all = 0;

    for (size_t i = 0; i < line_count; i++) {
        all += lines[i].exchanges;
        if (lines[i].exchanges < fewest)
            fewest = lines[i].exchanges;
    }
    if (!sample_count) {
        fprintf(stderr, "nothing was answered: %lu lost, %lu damaged\n", lost, damaged);
        exit(1);
    }
    qsort(added_us, sample_count, sizeof *added_us, by_size);
    qsort(late_us, sample_count, sizeof *late_us, by_size);
    printf("{\"seconds\": %.6f, \"exchanges\": %lu, \"fewest\": %lu, \"damaged\": %lu, \"lost\": %lu, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"worst_us\": %.1f, \"late_p99_us\": %.1f}\n",
           seconds, all, fewest, damaged, lost, added_us[sample_count / 2], added_us[sample_count * 99 / 100],
           added_us[sample_count - 1], late_us[sample_count * 99 / 100]);
}

int main(int argc, char **argv)
{
    int epoll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    double warm_up_s, seconds;
    int64_t wire_ns, begin_ns, end_ns;
    FILE *traffic;

    if (argc < 7 || argc - 6 > MOST_LINES) {
        fprintf(stderr, "usage: lines TRAFFIC CHUNK_OCTETS OCTET_NS WARM_UP_S SECONDS TTY:TCP [TTY:TCP ...]\n");
        return 2;
    }
    traffic = fopen(argv[1], "rb");
    load(traffic, &requests);
    load(traffic, &answers);
    chunk = strtoul(argv[2], NULL, 10);
    octet_ns = atoll(argv[3]);
    warm_up_s = atof(argv[4]);
    seconds = atof(argv[5]);
    line_count = argc - 6;
    wire_ns = (int64_t)(requests.size + answers.size) * octet_ns;
    room = (size_t)(seconds * 1e9 / wire_ns + 2) * line_count;
    added_us = calloc(room, sizeof *added_us);
    late_us = calloc(room, sizeof *late_us);
    if (chunk == 0 || !added_us || !late_us)
        return 2;
    prctl(PR_SET_TIMERSLACK, 1UL);
    alarm((unsigned)(warm_up_s + seconds) + 10);
    watch(epoll, timer, TIMER);
    begin_ns = now_ns();
    for (size_t i = 0; i < line_count; i++) {
        if (sscanf(argv[6 + i], "%d:%d", &lines[i].tty, &lines[i].tcp) != 2)
            return 2;
        watch(epoll, lines[i].tty, i << 1);
        watch(epoll, lines[i].tcp, i << 1 | 1);
        /* Spread, or all lines would go in step. */
        lines[i].due_ns = begin_ns + (int64_t)i * wire_ns / (int64_t)line_count;
    }
    run_until(begin_ns + (int64_t)(warm_up_s * 1e9), epoll, timer);
    is_measuring = 1;
    begin_ns = now_ns();
    puts("begin");
    fflush(stdout);
    run_until(begin_ns + (int64_t)(seconds * 1e9), epoll, timer);
    end_ns = now_ns();
    puts("end");
    fflush(stdout);
    report((end_ns - begin_ns) / 1e9);
    return 0;
}
