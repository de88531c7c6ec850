/* A master that polls one outstation as fast as it answers, and times nothing but that.
 *
 *     poller FD POINTS POLLS SECONDS [CHANGE_FD WHAT]
 *
 * FD is an inherited TCP connection to outstation 1024; we are master 1. Each poll is an integrity poll (classes 1, 2,
 * 3 and 0) whose fragments are confirmed where they ask for it. The clock runs from the request to the last octet of
 * the last fragment. After it stopped, every CRC, sequence number and object is checked: POINTS times g30v1, and the
 * same values as before, or others where they were changed. Ends after POLLS polls or SECONDS, whichever comes first,
 * but not before one poll was timed.
 *
 * With CHANGE_FD, an inherited socket to the outstation's program, values change before each poll: we write WHAT (one
 * character), the program changes them and writes an octet back. A link status request that is answered then shows
 * that nothing is left to do for the outstation before the poll's clock starts.
 *
 * Prints the figures as JSON. Exit status: 0 measured, 1 the outstation failed (why is on stderr), 2 usage.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MASTER 1
#define OUTSTATION 1024
#define ROOM (1 << 18) /* octets of one poll */
#define MOST_POLLS 200000
#define WARM_UP_POLLS 200
#define WARM_UP_SHARE 5 /* of the time, if that is less */
#define ANSWER_TIMEOUT_S 3
#define HEADER 10
#define BLOCK 16

enum { CONFIRM = 0, READ = 1, WRITE = 2, DISABLE_UNSOLICITED = 21, RESPONSE = 129, UNSOLICITED = 130 };
enum { FIR = 0x80, FIN = 0x40, CON = 0x20, UNS = 0x10 };       /* application control */
enum { TRANSPORT_FIN = 0x80, TRANSPORT_FIR = 0x40 };
enum { REQUEST_STATUS = 0xC9, LINK_STATUS = 0x0B, DATA = 0xC4, RESPONSE_DATA = 0x44 };

static const uint8_t integrity[] = {60, 2, 6, 60, 3, 6, 60, 4, 6, 60, 1, 6};
static const uint8_t all_events[] = {60, 2, 6, 60, 3, 6, 60, 4, 6};
static const uint8_t clear_restart[] = {80, 1, 0, 7, 7, 0};

static uint16_t crc_table[256];
static int line;
static uint8_t in[ROOM];   /* what came since the last request, whole frames first */
static size_t filled, at;  /* `at`: where the next frame begins */
static uint8_t objects[ROOM];
static size_t object_octets;
static unsigned application, transport;

static void fail(const char *why)
{
    fprintf(stderr, "poller: %s\n", why);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static uint16_t crc(const uint8_t *octets, size_t count)
{
    uint16_t value = 0;

    while (count--)
        value = value >> 8 ^ crc_table[(value ^ *octets++) & 0xFF];
    return ~value;
}

static size_t with_crc(uint8_t *out, const uint8_t *octets, size_t count)
{
    uint16_t value = crc(octets, count);

    memmove(out, octets, count);
    out[count] = value & 0xFF;
    out[count + 1] = value >> 8;
    return count + 2;
}

/* ------------------------------------------------------------------------------------------------- to and fro */

static void send_frame(uint8_t control, const uint8_t *data, size_t count)
{
    uint8_t out[292] = {0x05, 0x64, 5 + count, control, OUTSTATION & 0xFF, OUTSTATION >> 8, MASTER, 0};
    size_t size = with_crc(out, out, HEADER - 2);

    for (size_t from = 0; from < count; from += BLOCK)
        size += with_crc(out + size, data + from, count - from < BLOCK ? count - from : BLOCK);
    if (write(line, out, size) != (ssize_t)size)
        fail("the connection takes no request");
}

static void send_fragment(unsigned control, unsigned function, const uint8_t *body, size_t count)
{
    uint8_t data[64] = {TRANSPORT_FIR | TRANSPORT_FIN | (transport++ & 63), control, function};

    memcpy(data + 3, body, count);
    send_frame(DATA, data, 3 + count);
}

static void need(size_t octets)
{
    while (filled < octets) {
        if (octets > ROOM)
            fail("the answer does not end");
        ssize_t got = read(line, in + filled, ROOM - filled);
        if (got == 0)
            fail("the outstation closed the connection");
        if (got < 0)
            fail(errno == EAGAIN ? "no answer in time" : strerror(errno));
        filled += got;
    }
}

/* The next frame, whole; its CRCs are checked later. */
static uint8_t *next_frame(void)
{
    uint8_t *frame = in + at;

    need(at + HEADER);
    if (frame[0] != 0x05 || frame[1] != 0x64 || frame[2] < 5)
        fail("not a frame");
    size_t data = frame[2] - 5;
    at += HEADER + data + 2 * ((data + BLOCK - 1) / BLOCK);
    need(at);
    return frame;
}

/* The next fragment's last frame came: its application control and function. */
static void next_fragment(unsigned *control, unsigned *function)
{
    uint8_t *frame;

    do {
        frame = next_frame();
        if (frame[3] != RESPONSE_DATA || frame[2] < 7)
            fail("not a frame of user data");
        if (frame[10] & TRANSPORT_FIR) {
            *control = frame[11];
            *function = frame[12];
        }
    } while (!(frame[10] & TRANSPORT_FIN));
}

/* Asks, confirms what wants to be confirmed; returns how many fragments the answer had. */
static unsigned transact(unsigned request, const uint8_t *body, size_t count)
{
    unsigned control = 0, function = 0, expected = application++ & 15, fragments = 0;

    filled = at = 0;
    send_fragment(FIR | FIN | expected, request, body, count);
    do {
        next_fragment(&control, &function);
        if (function == UNSOLICITED) {
            send_fragment(FIR | FIN | UNS | (control & 15), CONFIRM, NULL, 0);
            control = 0;
            continue;
        }
        if (function != RESPONSE || (control & 15) != (expected + fragments & 15))
            fail("not the answer to the request");
        if (control & CON)
            send_fragment(FIR | FIN | (control & 15), CONFIRM, NULL, 0);
        fragments++;
    } while (!(control & FIN));
    application = expected + fragments;
    return fragments;
}

/* ---------------------------------------------------------------------------------- checked while no clock runs */

static void check_block(const uint8_t *block, size_t count)
{
    uint16_t value = crc(block, count);

    if (block[count] != (value & 0xFF) || block[count + 1] != value >> 8)
        fail("a wrong CRC");
}

/* Checks the frames of the answer and collects its objects. */
static void check_frames(void)
{
    static uint8_t data[250];
    unsigned expected = 0; /* transport sequence; py1815 begins each fragment with 0 */

    object_octets = 0;
    for (const uint8_t *frame = in; frame < in + filled;) {
        size_t left = frame[2] - 5, got = 0;

        check_block(frame, HEADER - 2);
        if (frame[4] != MASTER || frame[5] || (frame[6] | frame[7] << 8) != OUTSTATION)
            fail("a wrong address");
        frame += HEADER;
        while (left) {
            size_t block = left < BLOCK ? left : BLOCK;
            check_block(frame, block);
            memcpy(data + got, frame, block);
            got += block;
            left -= block;
            frame += block + 2;
        }
        if (!(data[0] & TRANSPORT_FIR) && (data[0] & 63) != expected)
            fail("a wrong transport sequence number");
        expected = (data[0] + 1) & 63;
        size_t head = data[0] & TRANSPORT_FIR ? 5 : 1; /* transport, control, function, two indications */
        if (got < head)
            fail("a frame without a fragment");
        memcpy(objects + object_octets, data + head, got - head);
        object_octets += got - head;
    }
}

static uint64_t digest_of_objects(unsigned points)
{
    uint64_t digest = 14695981039346656037u;
    unsigned next = 0;

    for (size_t from = 0; from < object_octets;) {
        const uint8_t *head = objects + from;
        unsigned start, stop;
        if (object_octets - from < 7 || head[0] != 30 || head[1] != 1 || head[2] > 1)
            fail("an object that is not g30v1");
        start = head[2] ? head[3] | head[4] << 8 : head[3];
        stop = head[2] ? head[5] | head[6] << 8 : head[4];
        if (start != next || stop < start)
            fail("a range out of order");
        from += head[2] ? 7 : 5;
        if (object_octets - from < (stop - start + 1) * 5u)
            fail("a range cut short");
        for (next = start; next <= stop; next++, from += 5)
            for (unsigned i = 0; i < 5; i++)
                digest = (digest ^ objects[from + i]) * 1099511628211u;
    }
    if (next != points)
        fail("another number of points");
    return digest;
}

/* ------------------------------------------------------------------------------------------------------ changes */

/* Returns how long the program took to change the values. */
static uint64_t change(int program, char what)
{
    uint64_t start = now_ns();

    if (write(program, &what, 1) != 1 || read(program, &what, 1) != 1)
        fail("the outstation's program does not change values");
    uint64_t took = now_ns() - start;
    filled = at = 0;
    send_frame(REQUEST_STATUS, NULL, 0);
    if (next_frame()[3] != LINK_STATUS)
        fail("no link status");
    return took;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static uint64_t took[MOST_POLLS];
    struct timeval timeout = {ANSWER_TIMEOUT_S, 0};
    uint64_t sum = 0, changing = 0, before = 0, end;
    unsigned points, polls, fragments = 0, done = 0;
    size_t octets = 0;
    int program = -1;

    if (argc != 5 && argc != 7) {
        fprintf(stderr, "usage: poller FD POINTS POLLS SECONDS [CHANGE_FD WHAT]\n");
        return 2;
    }
    for (unsigned i = 0; i < 256; i++) {
        uint16_t value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value & 1 ? value >> 1 ^ 0xA6BC : value >> 1;
        crc_table[i] = value;
    }
    line = atoi(argv[1]);
    points = atoi(argv[2]);
    polls = atoi(argv[3]) > MOST_POLLS ? MOST_POLLS : atoi(argv[3]);
    if (argc == 7)
        program = atoi(argv[5]);
    setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    setsockopt(line, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (program >= 0)
        setsockopt(program, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);

    transact(DISABLE_UNSOLICITED, all_events, sizeof all_events);
    transact(WRITE, clear_restart, sizeof clear_restart);
    uint64_t begun = now_ns();
    end = begun + (uint64_t)(atof(argv[4]) * 1e9);
    uint64_t warm = begun + (end - begun) / WARM_UP_SHARE;
    unsigned is_warm = 0;
    for (unsigned number = 0; done < polls && (!done || now_ns() < end); number++) {
        is_warm = is_warm || number == WARM_UP_POLLS || number && now_ns() >= warm;
        uint64_t change_ns = program < 0 ? 0 : change(program, argv[6][0]);
        uint64_t start = now_ns();
        fragments = transact(READ, integrity, sizeof integrity);
        uint64_t poll_ns = now_ns() - start;
        check_frames();
        uint64_t digest = digest_of_objects(points);
        if (is_warm && (digest != before) != (program >= 0)) /* the first values may still be on their way */
            fail(program < 0 ? "values changed" : "the values are the old ones");
        before = digest;
        octets = filled;
        if (is_warm) {
            took[done++] = poll_ns;
            sum += poll_ns;
            changing += change_ns;
        }
    }
    qsort(took, done, sizeof *took, by_size);
    printf("{\"polls\": %u, \"rate\": %.1f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"change_us\": %.2f, \"octets\": %zu, "
           "\"fragments\": %u}\n",
           done, done * 1e9 / sum, took[done / 2] / 1e3, took[done * 99 / 100] / 1e3, changing / 1e3 / done, octets,
           fragments);
    return 0;
}
