/* An RTU on the master side of a pty: reads one whole request, writes the precomputed answer to it.
 *
 *     responder FD TABLE CHUNK_OCTETS CHUNK_NS
 *
 * FD is an inherited descriptor. TABLE is a file: for every frame size two octets (low first) with the size, then
 * 16 frames, one per application sequence number. The answer is as long as the request and carries its sequence.
 * CHUNK_OCTETS 0 writes the answer at once; otherwise it arrives as a UART would deliver it, CHUNK_OCTETS at a
 * time, each piece CHUNK_NS after the one before it (the time the piece spends on the wire).
 * Ends when the other side of the pty is gone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define LARGEST 292
#define SEQUENCES 16

static unsigned char *answers[LARGEST + 1];

static void load(const char *path)
{
    unsigned char head[2];
    FILE *file = fopen(path, "rb");

    if (!file) {
        perror(path);
        exit(2);
    }
    while (fread(head, 1, 2, file) == 2) {
        size_t size = head[0] | head[1] << 8;
        if (size > LARGEST || !(answers[size] = malloc(size * SEQUENCES)) ||
            fread(answers[size], size, SEQUENCES, file) != SEQUENCES) {
            fprintf(stderr, "responder: bad table %s\n", path);
            exit(2);
        }
    }
    fclose(file);
}

static void put(int fd, const unsigned char *octets, size_t count)
{
    while (count) {
        ssize_t done = write(fd, octets, count);
        if (done < 0)
            exit(errno == EIO ? 0 : 1);
        octets += done;
        count -= done;
    }
}

static void put_paced(int fd, const unsigned char *octets, size_t count, size_t chunk, long chunk_ns)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    while (count) {
        size_t piece = count < chunk ? count : chunk;
        at.tv_nsec += chunk_ns;
        while (at.tv_nsec >= 1000000000L) {
            at.tv_nsec -= 1000000000L;
            at.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        put(fd, octets, piece);
        octets += piece;
        count -= piece;
    }
}

/* Octets of the frame that starts here, 0 while its length is not known. */
static size_t frame_size(const unsigned char *octets, size_t have)
{
    size_t data;

    if (have < 3)
        return 0;
    data = octets[2] < 5 ? 0 : octets[2] - 5;
    return 10 + data + 2 * ((data + 15) / 16);
}

int main(int argc, char **argv)
{
    unsigned char request[4096];
    size_t have = 0, chunk;
    long chunk_ns;
    int fd;

    if (argc != 5) {
        fprintf(stderr, "usage: responder FD TABLE CHUNK_OCTETS CHUNK_NS\n");
        return 2;
    }
    fd = atoi(argv[1]);
    load(argv[2]);
    chunk = strtoul(argv[3], NULL, 10);
    chunk_ns = atol(argv[4]);
    prctl(PR_SET_TIMERSLACK, 1UL);
    for (;;) {
        size_t size;
        ssize_t got = read(fd, request + have, sizeof request - have);

        if (got <= 0)
            return got == 0 || errno == EIO ? 0 : 1;
        have += got;
        while ((size = frame_size(request, have)) != 0 && size <= have) {
            size_t used = 1; /* no frame starts here: look one octet further */
            if (request[0] == 0x05 && request[1] == 0x64 && answers[size]) {
                unsigned sequence = size > 10 ? request[11] & 0x0F : 0;
                const unsigned char *answer = answers[size] + size * sequence;
                if (chunk)
                    put_paced(fd, answer, size, chunk, chunk_ns);
                else
                    put(fd, answer, size);
                used = size;
            }
            have -= used;
            memmove(request, request + used, have);
        }
    }
}
