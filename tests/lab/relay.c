/* Delays every packet of one TUN device by a fixed time, then returns it.
 *
 *     relay DEVICE DELAY_US [TRACE_FILE QUEUE_BYTES LOG_FILE]
 *
 * A trace has one number per line: the millisecond at which 1500 bytes may leave. It is
 * repeated endlessly. Packets first wait in a drop-tail queue of QUEUE_BYTES for the
 * opportunities of the trace, and the delay follows. The log has a line for every 10 ms:
 * its start in ns of CLOCK_MONOTONIC, the bytes offered and the bytes that left. One process serves one direction,
 * so it does not read addresses. It prints "ready" once the device exists. It exits when
 * its standard input closes, which also happens if its parent process is killed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define SLOTS (1u << 14) /* at 200 Mbit/s nearly a second of full packets */
#define PACKET_BYTES 1500
#define OPPORTUNITY_BYTES 1500
#define LOG_NS 10000000ll
#define BATCH 64
#define IDLE_NS 100000000ll
#define SPIN_NS 60000ll /* a sleep ends about this late, so the rest is a busy wait */

struct packet {
    int64_t due_ns;
    int length;
    unsigned char bytes[PACKET_BYTES];
};

struct line {
    struct packet slots[SLOTS];
    unsigned first, next;
    int64_t bytes;
};

struct trace {
    int64_t *at_ns;
    size_t count, position;
    int64_t lap_start_ns;
    int64_t queue_bytes, credit_bytes;
    FILE *log;
    int64_t log_ns, offered_bytes, carried_bytes;
};

static struct line waiting, flying;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static struct packet *head(struct line *line)
{
    return line->first == line->next ? NULL : &line->slots[line->first % SLOTS];
}

static void push(struct line *line, const unsigned char *bytes, int length, int64_t due_ns)
{
    struct packet *slot = &line->slots[line->next % SLOTS];
    if (line->next - line->first == SLOTS)
        return;
    memcpy(slot->bytes, bytes, length);
    slot->length = length;
    slot->due_ns = due_ns;
    line->next++;
    line->bytes += length;
}

static void pop(struct line *line)
{
    line->bytes -= head(line)->length;
    line->first++;
}

static int open_tun(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (tun < 0 || ioctl(tun, TUNSETIFF, &request) < 0) {
        perror("/dev/net/tun");
        exit(1);
    }
    return tun;
}

static void load(struct trace *trace, const char *path, int64_t queue_bytes)
{
    FILE *file = fopen(path, "r");
    long long at_ms;
    size_t capacity = 0;
    if (!file) {
        perror(path);
        exit(1);
    }
    while (fscanf(file, "%lld", &at_ms) == 1) {
        if (trace->count == capacity) {
            capacity = capacity ? capacity * 2 : 4096;
            trace->at_ns = realloc(trace->at_ns, capacity * sizeof *trace->at_ns);
            if (!trace->at_ns)
                exit(1);
        }
        trace->at_ns[trace->count++] = at_ms * 1000000;
    }
    fclose(file);
    if (!trace->count || trace->at_ns[trace->count - 1] <= 0) {
        fprintf(stderr, "%s: the trace must end after 0 ms\n", path);
        exit(1);
    }
    trace->queue_bytes = queue_bytes;
    trace->lap_start_ns = now_ns();
}

static int64_t opportunity_ns(const struct trace *trace)
{
    return trace->lap_start_ns + trace->at_ns[trace->position];
}

static void advance(struct trace *trace)
{
    if (++trace->position < trace->count)
        return;
    trace->lap_start_ns += trace->at_ns[trace->count - 1];
    trace->position = 0;
}

static void open_log(struct trace *trace, const char *path)
{
    trace->log = fopen(path, "w");
    if (!trace->log) {
        perror(path);
        exit(1);
    }
    setvbuf(trace->log, NULL, _IOLBF, BUFSIZ);
    trace->log_ns = trace->lap_start_ns;
}

/* Intervals without an opportunity have no line. */
static void log_until(struct trace *trace, int64_t at_ns)
{
    if (at_ns < trace->log_ns + LOG_NS)
        return;
    if (trace->offered_bytes)
        fprintf(trace->log, "%lld %lld %lld\n", (long long)trace->log_ns,
                (long long)trace->offered_bytes, (long long)trace->carried_bytes);
    trace->log_ns += (at_ns - trace->log_ns) / LOG_NS * LOG_NS;
    trace->offered_bytes = trace->carried_bytes = 0;
}

/* An opportunity with an empty queue is lost, as on a radio link. */
static void depart(struct trace *trace, int64_t delay_ns)
{
    int64_t at_ns = opportunity_ns(trace);
    struct packet *packet;
    log_until(trace, at_ns);
    trace->offered_bytes += OPPORTUNITY_BYTES;
    trace->credit_bytes += OPPORTUNITY_BYTES;
    while ((packet = head(&waiting)) && packet->length <= trace->credit_bytes) {
        trace->credit_bytes -= packet->length;
        trace->carried_bytes += packet->length;
        push(&flying, packet->bytes, packet->length, at_ns + delay_ns);
        pop(&waiting);
    }
    if (!packet)
        trace->credit_bytes = 0;
}

static void accept_packet(struct trace *trace, const unsigned char *bytes, int length,
                          int64_t delay_ns)
{
    if (!trace->count)
        push(&flying, bytes, length, now_ns() + delay_ns);
    else if (waiting.bytes + length <= trace->queue_bytes)
        push(&waiting, bytes, length, 0);
}

static void read_packets(int tun, struct trace *trace, int64_t delay_ns)
{
    unsigned char bytes[PACKET_BYTES];
    for (int i = 0; i < BATCH; i++) {
        int length = read(tun, bytes, sizeof bytes);
        if (length <= 0)
            return;
        accept_packet(trace, bytes, length, delay_ns);
    }
}

static void write_due_packets(int tun)
{
    struct packet *packet;
    while ((packet = head(&flying)) && packet->due_ns <= now_ns()) {
        if (write(tun, packet->bytes, packet->length) < 0 && errno == EAGAIN)
            return;
        pop(&flying);
    }
}

static int64_t next_event_ns(const struct trace *trace)
{
    int64_t next_ns = now_ns() + IDLE_NS;
    if (head(&flying) && head(&flying)->due_ns < next_ns)
        next_ns = head(&flying)->due_ns;
    if (trace->count && head(&waiting) && opportunity_ns(trace) < next_ns)
        next_ns = opportunity_ns(trace);
    return next_ns;
}

/* Returns 0 if standard input is closed. */
static int wait_until(int64_t next_ns, int tun)
{
    struct pollfd watched[] = {{.fd = tun, .events = POLLIN}, {.fd = 0}};
    int64_t left_ns = next_ns - now_ns() - SPIN_NS;
    struct timespec sleep = {.tv_nsec = left_ns > 0 ? left_ns : 0};
    ppoll(watched, 2, &sleep, NULL);
    return !(watched[1].revents & (POLLHUP | POLLERR));
}

int main(int count, char **arguments)
{
    struct trace trace = {0};
    struct sched_param realtime = {.sched_priority = 10};
    if (count != 3 && count != 6) {
        fprintf(stderr, "relay DEVICE DELAY_US [TRACE_FILE QUEUE_BYTES LOG_FILE]\n");
        return 2;
    }
    int tun = open_tun(arguments[1]);
    int64_t delay_ns = atoll(arguments[2]) * 1000;
    if (count == 6) {
        load(&trace, arguments[3], atoll(arguments[4]));
        open_log(&trace, arguments[5]);
    }
    sched_setscheduler(0, SCHED_FIFO, &realtime); /* optional: better timing only */
    prctl(PR_SET_TIMERSLACK, 1);
    if (puts("ready") < 0 || fflush(stdout))
        return 1;
    do {
        /* Do this before reading, or a packet could use opportunities of the past. */
        while (trace.count && opportunity_ns(&trace) <= now_ns()) {
            depart(&trace, delay_ns);
            advance(&trace);
        }
        read_packets(tun, &trace, delay_ns);
        write_due_packets(tun);
    } while (wait_until(next_event_ns(&trace), tun));
    return 0;
}
