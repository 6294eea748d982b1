// librdkafka in C, as the distribution packages it. client HOST:PORT [FEATURE...].
// Each feature runs in a process of its own: what is wrong ends it.
#include "client.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char* const features[] = {
    "admin", "none", "gzip", "snappy", "lz4", "zstd", "idempotent", "seek", "resume", "group",
    "cooperative", "kip848", "group-admin", "transaction", "exactly-once", "fenced"};

const char* address;
const char* feature;
char topic[100];

// Runs in a process of its own, which ends without cleaning up.
static void tell(void) {
  if (strcmp(feature, "kip848") == 0) {
    printf("feature kip848 unsupported came with librdkafka 2.4\n");
    return;
  }
  if (strcmp(feature, "admin") == 0) admin();
  else if (strcmp(feature, "idempotent") == 0) round_trip("none", "true");
  else if (strcmp(feature, "seek") == 0) seek();
  else if (strcmp(feature, "resume") == 0) resume();
  else if (strcmp(feature, "group") == 0) share("range");
  else if (strcmp(feature, "cooperative") == 0) share("cooperative-sticky");
  else if (strcmp(feature, "group-admin") == 0) group_admin();
  else if (strcmp(feature, "transaction") == 0) transaction();
  else if (strcmp(feature, "exactly-once") == 0) exactly_once();
  else if (strcmp(feature, "fenced") == 0) fenced();
  else round_trip(feature, "false");
  printf("feature %s ok\n", feature);
}

static void run(const char* name) {
  const pid_t child = fork();
  if (child == 0) {
    feature = name;
    sprintf(topic, "c-%s-%lld", name, (long long)(now_ms() % 1000000000));
    alarm(90);  // A feature that hangs.
    tell();
    fflush(stdout);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status)) printf("feature %s bad signal %d\n", name, WTERMSIG(status));
  fflush(stdout);
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  address = argv[1];
  printf("version %s\n", rd_kafka_version_str());
  fflush(stdout);
  if (argc > 2) {
    for (int i = 2; i < argc; ++i) run(argv[i]);
    return 0;
  }
  for (size_t i = 0; i < sizeof features / sizeof features[0]; ++i) run(features[i]);
  return 0;
}
