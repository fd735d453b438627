/*
 * The shell of every account: sshd runs "session -c 'borg serve …'" for a login, whatever the client asked for. It looks
 * at what the client asked for, hands its descriptors to the resident process (resident.py), which serves the session
 * in a process of its own, and waits for that one's exit code.
 *
 *   session -c COMMAND    USER, SSH_ORIGINAL_COMMAND and SSH_CONNECTION are sshd's (ssh(1), ENVIRONMENT)
 *   session --answers     whether the resident process answers: exit 0, or 1 and why not
 *
 * It holds no right: who asks, the resident process learns from the kernel, and what that one may from the index.
 */
#include <ctype.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef SOCKET
#define SOCKET "/run/borgserver/sessions"
#endif
/* In seconds: how long a session waits for the resident process, how long for its answer once it was reached, and how long
   for a client that is told why there is none. */
#define PATIENCE 10
#define ANSWER_PATIENCE 30
#define CLIENT_PATIENCE 30

static const char *account, *command = "";
static int wants_serve, wants_status;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

/* Whether there is something to read within CLIENT_PATIENCE. */
static int comes(void) {
  struct pollfd client = {0, POLLIN, 0};
  return poll(&client, 1, CLIENT_PATIENCE * 1000) == 1;
}

/* One text of the answer below, in msgpack: its key, then an array of one string. */
static void add_text(char *answer, size_t *length, const char *key, const char *text) {
  size_t size = strlen(text);
  *length += sprintf(answer + *length, "%c%s\x91\xda%c%c", (int)(0xa0 | strlen(key)), key, (int)(size >> 8), (int)(size & 255));
  memcpy(answer + *length, text, size);
  *length += size;
}

/*
 * Says why there is no session. A borg client must be told in borg's own protocol: what comes on stderr may get lost,
 * because it stops reading when stdout ends. It is recognised by its first byte, which it sends at once: an array or a
 * map of msgpack (call_many in borg's remote.py). The answer to its first call is an error that is one line for its user:
 * clients of borg 1.4 take the text from exception_args, older ones from exception_short.
 */
static void refuse(const char *why) {
  char text[1200], answer[3000];
  unsigned char first = 0;
  size_t length = 0;
  snprintf(text, sizeof text, "borgserver: %s", why);
  if (wants_serve && comes() && read(0, &first, 1) == 1 && (first == 0x94 || (first & 0xf0) == 0x80)) {
    length += sprintf(answer, "\x86\xa1i\x01\xaf" "exception_class\xa5" "Error");
    add_text(answer, &length, "exception_args", text);
    add_text(answer, &length, "exception_short", text);
    length += sprintf(answer + length, "\xaf" "exception_trace\xc2\xa7sysinfo\xa0");
    if (write(1, answer, length) == (ssize_t)length)
      while (comes() && read(0, answer, sizeof answer) > 0) /* until the client has read it and ends */
        ;
  } else
    fprintf(stderr, "%s\n", text);
  exit(1);
}

/* Whether a word says how much to log, which is all that is taken from a client's request. */
static int is_level(const char *word) {
  static const char *const levels[] = {"--critical", "--error", "--warning", "--info", "--verbose", "-v", "--debug"};
  const char *topic = "--debug-topic=";
  for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
    if (!strcmp(word, levels[i])) return 1;
  if (strncmp(word, topic, strlen(topic))) return 0;
  word += strlen(topic);
  return *word && word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._=-")] == 0;
}

/*
 * Reads a client's request, which borg never sees: it would parse it with all of its options, and some of those open
 * files. Words before "borg serve", such as sudo or nice, and variables are ignored: nothing of them runs.
 * Leaves the words about logging in `options`, each with a space behind it; or "status", which is what a client may ask
 * for instead (ownStatus in src/operator/status.ts).
 */
static void read_request(char *request, char *options) {
  if (!strcmp(request, "status") || !strcmp(request, "status --json")) {
    wants_status = 1;
    strcpy(options, request);
    return;
  }
  const char *before = NULL, *program = NULL;
  for (char *word = strtok(request, " \t\n"); word; word = strtok(NULL, " \t\n")) {
    if (wants_serve) {
      if (!strcmp(word, "--rest")) refuse("this server works with Borg 1.x clients; a Borg 2 client cannot use it.");
      if (is_level(word)) options += sprintf(options, "%s ", word);
    } else if (!strcmp(word, "serve")) {
      /* Any name alone may be a borg. Behind other words, the last one must look like a borg. */
      const char *slash = program ? strrchr(program, '/') : NULL, *name = slash ? slash + 1 : program;
      if (!name || !*name || (before && !strstr(name, "borg"))) return;
      wants_serve = 1;
    } else if (!(strchr(word, '=') && (*word == '_' || isalpha((unsigned char)*word))))
      before = program, program = word;
  }
}

/* What a session that is none is told to do instead. */
static void refuse_others(void) {
  char text[1000];
  const char *restriction = "--restrict-to-repository ", *at = strstr(command, restriction);
  at = at ? at + strlen(restriction) : "/repos/NAME";
  snprintf(text, sizeof text, "only borg can use this account, as in: borg list ssh://%.300s@HOST%.*s", account,
           (int)(strcspn(at, " ") % 400), at);
  refuse(text);
}

/* Connects and sends a message with these descriptors. Returns the socket, or -1 if nobody is there. */
static int ask(const char *message, size_t length, int descriptors) {
  struct sockaddr_un address = {AF_UNIX, SOCKET};
  union { /* cmsg(3) */
    char space[CMSG_SPACE(3 * sizeof(int))];
    struct cmsghdr aligned;
  } control;
  struct iovec part = {(void *)message, length};
  struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
  int passed[3] = {0, 1, 2}, end = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (descriptors) {
    header.msg_control = control.space;
    header.msg_controllen = sizeof control.space;
    struct cmsghdr *first = CMSG_FIRSTHDR(&header);
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(sizeof passed);
    memcpy(CMSG_DATA(first), passed, sizeof passed);
  }
  if (end >= 0 && (connect(end, (struct sockaddr *)&address, sizeof address) || sendmsg(end, &header, MSG_NOSIGNAL) < 0)) {
    close(end);
    return -1;
  }
  return end;
}

/*
 * Asks until there is an answer: S it serves, R it refuses, for the reason behind it. Until then nothing of the client
 * has been read, so the resident process may end and come back. `patience` is for an answer. Returns the socket; `answer`
 * ends with a zero byte.
 */
static int ask_patiently(const char *message, size_t length, int descriptors, int patience, char *answer, size_t size) {
  for (double end = now() + PATIENCE, delay = 0.01; now() < end; delay = delay < 0.3 ? delay * 2 : delay) {
    int asked = ask(message, length, descriptors);
    if (asked >= 0) {
      struct pollfd wait = {asked, POLLIN, 0};
      ssize_t read = poll(&wait, 1, patience * 1000) == 1 ? recv(asked, answer, size - 1, 0) : 0;
      if (read > 0) {
        answer[read] = 0;
        return asked;
      }
      close(asked);
    }
    struct timespec time = {0, delay * 1e9};
    nanosleep(&time, NULL);
  }
  return -1;
}

int main(int count, char **words) {
  char answer[1100];
  signal(SIGPIPE, SIG_IGN);
  if (count == 2 && !strcmp(words[1], "--answers")) {
    if (ask_patiently("?", 1, 0, PATIENCE, answer, sizeof answer) >= 0) return 0;
    fprintf(stderr, "the process that serves sessions does not answer\n");
    return 1;
  }
  account = getenv("USER");
  const char *connection = getenv("SSH_CONNECTION"), *asked = getenv("SSH_ORIGINAL_COMMAND");
  if (!account || count != 3 || strcmp(words[1], "-c")) {
    fprintf(stderr, "borgserver: sshd alone starts sessions\n");
    return 1;
  }
  command = words[2];
  if (!connection) connection = "";
  char *request = strdup(asked ? asked : ""), *options = calloc(1, strlen(request) + 2);
  if (!request || !options) return 1;
  read_request(request, options);
  if (!wants_serve && !wants_status) refuse_others();
  if (strlen(options) > 4000) refuse("the request has too many words.");

  static char message[32768];
  int length = snprintf(message, sizeof message, "%s%c%s%c%s%c%s", account, 0, command, 0, options, 0, connection);
  if (length < 0 || length >= (int)sizeof message) refuse("the command of this account is too long.");
  int resident = ask_patiently(message, length, 1, ANSWER_PATIENCE, answer, sizeof answer);
  if (resident < 0) refuse("sessions cannot be served at the moment: try again in a minute.");
  if (*answer == 'R') refuse(answer + 1);
  close(0); /* the session's process has them now, and the client learns when that one closes them */
  close(1);
  if (*answer == 'S' && recv(resident, answer, sizeof answer, 0) == 2 && *answer == 'E') return (unsigned char)answer[1];
  fprintf(stderr, "borgserver: the server ended the session.\n");
  return 1;
}
