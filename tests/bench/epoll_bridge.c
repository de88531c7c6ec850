/* The least a bridge can be: one TCP client <-> one tty, epoll, whatever was read is written at once.
 *
 *     epoll_bridge PORT TTY
 *
 * It knows no frames, no addresses and no turns. It is the yardstick: what the kernel alone costs.
 * Listens on 127.0.0.1; a client that leaves makes room for the next one.
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

static void serve(int client, int tty)
{
    struct epoll_event ready[2], event = {.events = EPOLLIN};
    int epoll = epoll_create1(0);

    event.data.fd = client;
    epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event);
    event.data.fd = tty;
    epoll_ctl(epoll, EPOLL_CTL_ADD, tty, &event);
    for (;;) {
        int count = epoll_wait(epoll, ready, 2, -1);
        for (int i = 0; i < count; i++) {
            int from = ready[i].data.fd;
            if (!copy(from, from == tty ? client : tty)) {
                close(epoll);
                return;
            }
        }
    }
}

int main(int argc, char **argv)
{
    int on = 1, tty, listener;

    if (argc != 3) {
        fprintf(stderr, "usage: epoll_bridge PORT TTY\n");
        return 2;
    }
    tty = open_tty(argv[2]);
    listener = listen_on(atoi(argv[1]));
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client < 0)
            fail("accept");
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        serve(client, tty);
        close(client);
    }
}
