/* The least a bridge can be: a TCP client <-> a tty, epoll, whatever was read is written at once.
 *
 *     epoll_bridge PORT TTY [PORT TTY ...]
 *
 * It knows no frames, no addresses and no turns. It is the yardstick: what the kernel alone costs.
 * Listens on 127.0.0.1; a client that leaves makes room for the next one,
 * one that comes before that is closed.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#define MOST_FDS 1024

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int open_tty(const char *path)
{
    struct termios raw;
    int fd = open(path, O_RDWR | O_NOCTTY);

    if (fd < 0 || tcgetattr(fd, &raw) < 0)
        fail(path);
    cfmakeraw(&raw);
    cfsetspeed(&raw, B115200);
    if (tcsetattr(fd, TCSANOW, &raw) < 0)
        fail("tcsetattr");
    return fd;
}

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4) < 0)
        fail("listen");
    return fd;
}

/* Copies what is there; 0 when either side has ended. */
static int copy(int from, int to)
{
    char octets[4096];
    ssize_t done = 0, got = read(from, octets, sizeof octets);

    if (got <= 0)
        return 0;
    while (done < got) {
        ssize_t put = write(to, octets + done, got - done);
        if (put < 0)
            return 0;
        done += put;
    }
    return 1;
}

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll_ctl");
}

/* By descriptor, 0 for none. A listener and a client have a tty, a tty has at most one client. */
static int tty_of[MOST_FDS], client_of[MOST_FDS];
static char is_listener[MOST_FDS];

static void open_client(int epoll, int listener)
{
    int on = 1, tty = tty_of[listener], client = accept(listener, NULL, NULL);

    if (client < 0 || client >= MOST_FDS)
        fail("accept");
    if (client_of[tty]) {
        close(client);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    tty_of[client] = tty;
    client_of[tty] = client;
    watch(epoll, client);
    watch(epoll, tty);
}

static void close_client(int epoll, int client)
{
    int tty = tty_of[client];

    tty_of[client] = client_of[tty] = 0;
    epoll_ctl(epoll, EPOLL_CTL_DEL, tty, NULL);
    close(client);
}

int main(int argc, char **argv)
{
    struct epoll_event ready[64];
    int epoll = epoll_create1(0);

    if (argc < 3 || argc % 2 == 0) {
        fprintf(stderr, "usage: epoll_bridge PORT TTY [PORT TTY ...]\n");
        return 2;
    }
    for (int i = 1; i < argc; i += 2) {
        int tty = open_tty(argv[i + 1]), listener = listen_on(atoi(argv[i]));
        if (tty >= MOST_FDS || listener >= MOST_FDS)
            return 2;
        tty_of[listener] = tty;
        is_listener[listener] = 1;
        watch(epoll, listener);
    }
    for (;;) {
        int count = epoll_wait(epoll, ready, 64, -1);
        for (int i = 0; i < count; i++) {
            int from = ready[i].data.fd;
            int client = client_of[from] ? client_of[from] : from, tty = tty_of[client];
            if (is_listener[from])
                open_client(epoll, from);
            else if (tty && !copy(from, from == tty ? client : tty))
                close_client(epoll, client);
        }
    }
}
