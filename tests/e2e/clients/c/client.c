// librdkafka in C, as the distribution packages it. client HOST:PORT [FEATURE...].
// Each feature runs in a process of its own: what is wrong ends it.
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { partition_count = 3, member_partitions = 4, record_count = 600, wait_ms = 40000 };
static const int64_t start_ms = 1700000000000;
static const int64_t end_offset = record_count / partition_count;
static const char* const features[] = {
    "admin", "none", "gzip", "snappy", "lz4", "zstd", "idempotent", "seek", "resume", "group",
    "cooperative", "kip848", "group-admin", "transaction", "exactly-once", "fenced"};

static const char* address;
static const char* feature;
static char topic[100];

static void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  printf("feature %s bad ", feature);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
  fflush(stdout);
  _exit(1);
}

static void expect_equal(int64_t found, int64_t wanted, const char* what) {
  if (found != wanted) fail("%s: found %lld, wanted %lld", what, (long long)found,
                            (long long)wanted);
}

static void expect_no_error(rd_kafka_resp_err_t error, const char* what) {
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) fail("%s: %s", what, rd_kafka_err2name(error));
}

// The functions of transactions return objects; NULL is good.
static void expect_done(rd_kafka_error_t* error, const char* what) {
  if (error != NULL) fail("%s: %s", what, rd_kafka_error_string(error));
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// What record `number` holds; the key's length is 0 for "no key".
static size_t make_key(char* out, const char* tag, int number) {
  return number % 7 == 0 ? 0 : (size_t)sprintf(out, "%s-%d", tag, number);
}
static size_t make_value(char* out, const char* tag, int number) {
  size_t size = 0;
  for (int i = 0; i <= number % 40; ++i) size += (size_t)sprintf(out + size, "%s %d ", tag, number);
  return size;
}

static int64_t delivered[partition_count];
static int checks_offsets;

static void on_delivery(rd_kafka_t* client, const rd_kafka_message_t* message, void* opaque) {
  (void)client;
  (void)opaque;
  expect_no_error(message->err, "delivery");
  if (!checks_offsets) return;
  expect_equal(message->offset, delivered[message->partition]++, "offset told");
}

// `settings`: pairs, ended by NULL.
static rd_kafka_t* open_client(rd_kafka_type_t type, const char* const* settings) {
  char why[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", address, NULL, 0);
  rd_kafka_conf_set(conf, "log_level", "2", NULL, 0);
  for (; *settings != NULL; settings += 2) {
    if (rd_kafka_conf_set(conf, settings[0], settings[1], why, sizeof why) != RD_KAFKA_CONF_OK) {
      fail("setting: %s", why);
    }
  }
  if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  rd_kafka_t* client = rd_kafka_new(type, conf, why, sizeof why);
  if (client == NULL) fail("client: %s", why);
  if (type == RD_KAFKA_CONSUMER) rd_kafka_poll_set_consumer(client);
  return client;
}

static rd_kafka_t* open_producer(const char* codec, const char* idempotent) {
  const char* settings[] = {"compression.codec", codec, "enable.idempotence", idempotent,
                            "linger.ms", "20", NULL};
  return open_client(RD_KAFKA_PRODUCER, settings);
}

static rd_kafka_t* open_consumer(const char* isolation) {
  const char* settings[] = {"group.id", topic, "enable.auto.commit", "false", "isolation.level",
                            isolation, "auto.offset.reset", "earliest", NULL};
  return open_client(RD_KAFKA_CONSUMER, settings);
}

// The story's 600 records.
static void produce_records(rd_kafka_t* client, const char* tag) {
  char key[64], value[2048];
  for (int number = 0; number < record_count; ++number) {
    const size_t key_size = make_key(key, tag, number);
    const size_t value_size = make_value(value, tag, number);
    expect_no_error(
        rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic),
                          RD_KAFKA_V_PARTITION(number % partition_count),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_KEY(key_size == 0 ? NULL : key, key_size),
                          RD_KAFKA_V_VALUE(value, value_size),
                          RD_KAFKA_V_TIMESTAMP(start_ms + 1000 * number),
                          RD_KAFKA_V_HEADER("n", tag, -1), RD_KAFKA_V_END),
        "produce");
  }
  expect_no_error(rd_kafka_flush(client, wait_ms), "flush");
}

// Records whose value is a text and their number.
static void produce_plain(rd_kafka_t* client, const char* to, int first, int count, int partitions,
                          const char* text) {
  char value[100];
  for (int number = first; number < first + count; ++number) {
    const int size = sprintf(value, "%s%d", text, number);
    expect_no_error(
        rd_kafka_producev(client, RD_KAFKA_V_TOPIC(to), RD_KAFKA_V_PARTITION(number % partitions),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_VALUE(value, (size_t)size), RD_KAFKA_V_END),
        "produce");
  }
  expect_no_error(rd_kafka_flush(client, wait_ms), "flush");
}

static void fill(int first, int count) {
  rd_kafka_t* client = open_producer("none", "false");
  produce_plain(client, topic, first, count, member_partitions, "");
  rd_kafka_destroy(client);
}

static void compare(const rd_kafka_message_t* message, const char* tag) {
  char key[64], value[2048];
  const int number = (int)message->offset * partition_count + message->partition;
  const size_t key_size = make_key(key, tag, number);
  const size_t value_size = make_value(value, tag, number);
  expect_equal((int64_t)message->key_len, (int64_t)key_size, "size of a key");
  expect_equal((int64_t)message->len, (int64_t)value_size, "size of a value");
  if (key_size > 0) expect_equal(memcmp(message->key, key, key_size), 0, "bytes of a key");
  expect_equal(memcmp(message->payload, value, value_size), 0, "bytes of a value");
  expect_equal(rd_kafka_message_timestamp(message, NULL), start_ms + 1000 * number, "timestamp");
  rd_kafka_headers_t* headers = NULL;
  const void* header = NULL;
  size_t size = 0;
  expect_no_error(rd_kafka_message_headers(message, &headers), "headers");
  expect_no_error(rd_kafka_header_get_last(headers, "n", &header, &size), "header");
  expect_equal((int64_t)size, (int64_t)strlen(tag), "size of a header");
  expect_equal(memcmp(header, tag, size), 0, "bytes of a header");
}

static void assign(rd_kafka_t* consumer, const char* from, int64_t offset) {
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partition_count);
  for (int p = 0; p < partition_count; ++p) {
    rd_kafka_topic_partition_list_add(list, from, p)->offset = offset;
  }
  expect_no_error(rd_kafka_assign(consumer, list), "assign");
  rd_kafka_topic_partition_list_destroy(list);
}

static rd_kafka_message_t* next_message(rd_kafka_t* consumer, int left) {
  rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, wait_ms);
  if (message == NULL) fail("no message, %d to come", left);
  expect_no_error(message->err, "consume");
  return message;
}

// Reads from `offset` of every partition to the end.
static void consume(rd_kafka_t* consumer, int64_t offset, int64_t first, const char* tag) {
  int64_t next[partition_count] = {first, first, first};
  assign(consumer, topic, offset);
  for (int left = (int)(end_offset - first) * partition_count; left > 0; --left) {
    rd_kafka_message_t* message = next_message(consumer, left);
    expect_equal(message->offset, next[message->partition]++, "offset of a message");
    compare(message, tag);
    rd_kafka_message_destroy(message);
  }
}

static void offsets(rd_kafka_t* consumer) {
  int64_t low = -1, high = -1;
  expect_no_error(rd_kafka_query_watermark_offsets(consumer, topic, 1, &low, &high, wait_ms),
                  "watermarks");
  expect_equal(low, 0, "low watermark");
  expect_equal(high, end_offset, "high watermark");
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic, 1)->offset = start_ms + 450000;
  expect_no_error(rd_kafka_offsets_for_times(consumer, list, wait_ms), "offsets by time");
  expect_equal(list->elems[0].offset, 150, "offset by time");
  rd_kafka_topic_partition_list_destroy(list);
}

// Waits for the answer of an admin request; the caller destroys the event.
static rd_kafka_event_t* answer(rd_kafka_queue_t* queue, const char* what) {
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, wait_ms);
  if (event == NULL) fail("%s: no answer", what);
  if (rd_kafka_event_error(event)) fail("%s: %s", what, rd_kafka_event_error_string(event));
  return event;
}

static rd_kafka_resp_err_t create_topic(rd_kafka_t* client, rd_kafka_queue_t* queue, int count_of) {
  char why[512];
  rd_kafka_NewTopic_t* wanted = rd_kafka_NewTopic_new(topic, count_of, 1, why, sizeof why);
  rd_kafka_NewTopic_set_config(wanted, "retention.ms", "-1");
  rd_kafka_CreateTopics(client, &wanted, 1, NULL, queue);
  rd_kafka_event_t* event = answer(queue, "create topic");
  size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
  expect_equal((int64_t)count, 1, "results");
  const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[0]);
  rd_kafka_event_destroy(event);
  rd_kafka_NewTopic_destroy(wanted);
  return error;
}

static void expect_retention(rd_kafka_t* client, rd_kafka_queue_t* queue, const char* wanted) {
  rd_kafka_ConfigResource_t* resource =
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
  rd_kafka_DescribeConfigs(client, &resource, 1, NULL, queue);
  rd_kafka_event_t* event = answer(queue, "describe configs");
  size_t count = 0, entry_count = 0;
  const rd_kafka_ConfigResource_t** resources = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event), &count);
  expect_equal((int64_t)count, 1, "resources");
  const rd_kafka_ConfigEntry_t** entries =
      rd_kafka_ConfigResource_configs(resources[0], &entry_count);
  const char* found = "missing";
  for (size_t i = 0; i < entry_count; ++i) {
    if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "retention.ms") == 0) {
      found = rd_kafka_ConfigEntry_value(entries[i]);
    }
  }
  if (strcmp(found, wanted) != 0) fail("retention.ms: found %s, wanted %s", found, wanted);
  rd_kafka_event_destroy(event);
  rd_kafka_ConfigResource_destroy(resource);
}

// AlterConfigs, the older call: what is not named goes back to its default.
static void alter_retention(rd_kafka_t* client, rd_kafka_queue_t* queue, const char* value) {
  rd_kafka_ConfigResource_t* resource =
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
  if (value != NULL) rd_kafka_ConfigResource_set_config(resource, "retention.ms", value);
  rd_kafka_AlterConfigs(client, &resource, 1, NULL, queue);
  rd_kafka_event_t* event = answer(queue, "alter configs");
  size_t count = 0;
  const rd_kafka_ConfigResource_t** resources = rd_kafka_AlterConfigs_result_resources(
      rd_kafka_event_AlterConfigs_result(event), &count);
  expect_equal((int64_t)count, 1, "resources");
  expect_no_error(rd_kafka_ConfigResource_error(resources[0]), "alter configs");
  rd_kafka_event_destroy(event);
  rd_kafka_ConfigResource_destroy(resource);
}

static void delete_records(rd_kafka_t* client, rd_kafka_queue_t* queue) {
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic, 0)->offset = 40;
  rd_kafka_DeleteRecords_t* request = rd_kafka_DeleteRecords_new(list);
  rd_kafka_DeleteRecords(client, &request, 1, NULL, queue);
  rd_kafka_event_t* event = answer(queue, "delete records");
  const rd_kafka_topic_partition_list_t* told =
      rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
  expect_no_error(told->elems[0].err, "delete records");
  expect_equal(told->elems[0].offset, 40, "low watermark");
  rd_kafka_event_destroy(event);
  rd_kafka_DeleteRecords_destroy(request);
  rd_kafka_topic_partition_list_destroy(list);
  int64_t low = -1, high = -1;
  expect_no_error(rd_kafka_query_watermark_offsets(client, topic, 0, &low, &high, wait_ms),
                  "watermarks");
  expect_equal(low, 40, "low watermark after it");
}

static void delete_topic(rd_kafka_t* client, rd_kafka_queue_t* queue) {
  rd_kafka_DeleteTopic_t* request = rd_kafka_DeleteTopic_new(topic);
  rd_kafka_DeleteTopics(client, &request, 1, NULL, queue);
  rd_kafka_event_t* event = answer(queue, "delete topic");
  size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
  expect_no_error(rd_kafka_topic_result_error(results[0]), "delete topic");
  rd_kafka_event_destroy(event);
  rd_kafka_DeleteTopic_destroy(request);
}


static void create(int partitions) {
  rd_kafka_t* client = open_producer("none", "false");
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client);
  expect_no_error(create_topic(client, queue, partitions), "create topic");
  rd_kafka_queue_destroy(queue);
  rd_kafka_destroy(client);
}

static void round_trip(const char* codec, const char* idempotent) {
  create(partition_count);
  rd_kafka_t* producer = open_producer(codec, idempotent);
  checks_offsets = 1;
  produce_records(producer, codec);
  rd_kafka_destroy(producer);
  rd_kafka_t* consumer = open_consumer("read_committed");
  consume(consumer, RD_KAFKA_OFFSET_BEGINNING, 0, codec);
}

static void seek(void) {
  create(partition_count);
  produce_records(open_producer("none", "false"), "seek");
  rd_kafka_t* consumer = open_consumer("read_committed");
  offsets(consumer);
  consume(consumer, end_offset - 5, end_offset - 5, "seek");
  consume(consumer, 150, 150, "seek");
}

static void admin(void) {
  rd_kafka_t* client = open_producer("none", "false");
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client);
  expect_no_error(create_topic(client, queue, partition_count), "create topic");
  expect_equal(create_topic(client, queue, partition_count),
               RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, "the same topic again");
  produce_records(client, "admin");
  expect_retention(client, queue, "-1");
  alter_retention(client, queue, "86400000");
  sleep(1);
  expect_retention(client, queue, "86400000");
  alter_retention(client, queue, NULL);
  sleep(1);
  expect_retention(client, queue, "604800000");
  delete_records(client, queue);
  delete_topic(client, queue);
}

// A member of the group, and which of the records 0..999 of each partition it has seen.
typedef struct {
  rd_kafka_t* client;
  int count;  // Of different records.
  char seen[member_partitions][1000];
} member;

static member* join(const char* strategy, const char* instance) {
  const char* settings[] = {
      "group.id", topic, "auto.offset.reset", "earliest", "session.timeout.ms", "6000",
      "partition.assignment.strategy", strategy, "group.instance.id", instance, NULL};
  if (instance == NULL) settings[8] = NULL;
  member* one = calloc(1, sizeof *one);
  one->client = open_client(RD_KAFKA_CONSUMER, settings);
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic, RD_KAFKA_PARTITION_UA);
  expect_no_error(rd_kafka_subscribe(one->client, list), "subscribe");
  rd_kafka_topic_partition_list_destroy(list);
  return one;
}

static void poll_once(member* one) {
  rd_kafka_message_t* message = rd_kafka_consumer_poll(one->client, 20);
  if (message == NULL) return;
  expect_no_error(message->err, "consume by group");
  char* seen = &one->seen[message->partition][message->offset];
  one->count += !*seen;
  *seen = 1;
  rd_kafka_message_destroy(message);
}

static int owned(const member* one) {
  rd_kafka_topic_partition_list_t* list = NULL;
  expect_no_error(rd_kafka_assignment(one->client, &list), "assignment");
  const int count = list->cnt;
  rd_kafka_topic_partition_list_destroy(list);
  return count;
}

static int together(const member* one, const member* two) {
  int count = 0;
  for (int p = 0; p < member_partitions; ++p) {
    for (int n = 0; n < 1000; ++n) count += one->seen[p][n] || two->seen[p][n];
  }
  return count;
}

// Commits, leaves. A static member stays for its session.
static void leave(member* one) {
  rd_kafka_consumer_close(one->client);
  rd_kafka_destroy(one->client);
}

// Polls until everything has been seen and each member owns what it should.
static void poll_until(member* one, int own_one, member* two, int own_two, int count,
                       const char* what) {
  const int64_t end = now_ms() + wait_ms;
  while (owned(one) != own_one || (two != NULL && owned(two) != own_two) ||
         (two == NULL ? one->count : together(one, two)) < count) {
    if (now_ms() > end) fail("not in time: %s", what);
    poll_once(one);
    if (two != NULL) poll_once(two);
  }
}

static void resume(void) {
  const int steps[][2] = {{0, 200}, {200, 4}, {204, 0}, {204, 40}};
  create(member_partitions);
  for (int i = 0; i < 4; ++i) {
    const int first = steps[i][0], count = steps[i][1];
    fill(first, count);
    member* one = join("range", NULL);
    poll_until(one, member_partitions, NULL, 0, count, "records from a commit on");
    for (int n = 0; n < 20; ++n) poll_once(one);
    leave(one);
    expect_equal(one->count, count, "records from a commit on");
    for (int n = first; n < first + count; ++n) {
      expect_equal(one->seen[n % member_partitions][n / member_partitions], 1, "a record");
    }
  }
}

static void share(const char* strategy) {
  create(member_partitions);
  fill(0, 400);
  member* first = join(strategy, NULL);
  poll_until(first, member_partitions, NULL, 0, 400, "all records");
  member* second = join(strategy, "static-2");
  poll_until(first, 2, second, 2, 400, "two each");
  fill(400, 400);
  poll_until(first, 2, second, 2, 800, "all records of both");
  leave(first);
  poll_until(second, member_partitions, NULL, 0, 0, "all for who stays");
  leave(second);
  fill(800, 4);
  member* third = join(strategy, "static-2");
  poll_until(third, member_partitions, NULL, 0, 4, "what came since");
  for (int p = 0; p < member_partitions; ++p) expect_equal(third->seen[p][200], 1, "came since");
  expect_equal(third->count, 4, "only what came since");
  leave(third);
}

static void group_admin(void) {
  create(member_partitions);
  fill(0, 80);
  member* one = join("range", NULL);
  poll_until(one, member_partitions, NULL, 0, 80, "all records");
  leave(one);
  rd_kafka_t* client = open_producer("none", "false");
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client);
  rd_kafka_DescribeConsumerGroups(client, (const char*[]){topic}, 1, NULL, queue);
  size_t count = 0;
  const rd_kafka_ConsumerGroupDescription_t** groups =
      rd_kafka_DescribeConsumerGroups_result_groups(
          rd_kafka_event_DescribeConsumerGroups_result(answer(queue, "describe")), &count);
  expect_equal(rd_kafka_ConsumerGroupDescription_state(groups[0]),
               RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY, "state");
  rd_kafka_ListConsumerGroupOffsets_t* asked =
      rd_kafka_ListConsumerGroupOffsets_new(topic, NULL);
  rd_kafka_ListConsumerGroupOffsets(client, &asked, 1, NULL, queue);
  const rd_kafka_group_result_t** told = rd_kafka_ListConsumerGroupOffsets_result_groups(
      rd_kafka_event_ListConsumerGroupOffsets_result(answer(queue, "offsets")), &count);
  const rd_kafka_topic_partition_list_t* list = rd_kafka_group_result_partitions(told[0]);
  expect_equal(list->cnt, member_partitions, "partitions with an offset");
  expect_equal(list->elems[0].offset, 20, "committed");
  rd_kafka_DeleteGroup_t* gone = rd_kafka_DeleteGroup_new(topic);
  rd_kafka_DeleteGroups(client, &gone, 1, NULL, queue);
  told = rd_kafka_DeleteGroups_result_groups(
      rd_kafka_event_DeleteGroups_result(answer(queue, "delete")), &count);
  expect_equal(rd_kafka_group_result_error(told[0]) == NULL, 1, "the group is deleted");
}

static rd_kafka_t* open_transactional(void) {
  const char* settings[] = {"transactional.id", topic, NULL};
  rd_kafka_t* client = open_client(RD_KAFKA_PRODUCER, settings);
  expect_done(rd_kafka_init_transactions(client, wait_ms), "init transactions");
  return client;
}

// Exactly `count` records are seen, none of which begins with `hidden`.
static void expect_seen(const char* from, const char* isolation, int count, const char* hidden) {
  rd_kafka_t* consumer = open_consumer(isolation);
  assign(consumer, from, RD_KAFKA_OFFSET_BEGINNING);
  for (int left = count; left > 0; --left) {
    rd_kafka_message_t* message = next_message(consumer, left);
    const size_t size = strlen(hidden);
    if (size > 0 && message->len >= size && memcmp(message->payload, hidden, size) == 0) {
      fail("%s sees a record of \"%s\"", isolation, hidden);
    }
    rd_kafka_message_destroy(message);
  }
  expect_equal(rd_kafka_consumer_poll(consumer, 500) == NULL, 1, "nothing beyond the end");
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
}

static void transaction(void) {
  create(partition_count);
  rd_kafka_t* client = open_transactional();
  const struct { const char* text; int count; } steps[] = {
      {"kept ", 60}, {"aborted ", 30}, {"again ", 9}, {"open ", 3}};
  for (int i = 0; i < 4; ++i) {
    expect_done(rd_kafka_begin_transaction(client), "begin");
    produce_plain(client, topic, 0, steps[i].count, partition_count, steps[i].text);
    if (i == 1) expect_done(rd_kafka_abort_transaction(client, wait_ms), "abort");
    if (i == 0 || i == 2) expect_done(rd_kafka_commit_transaction(client, wait_ms), "commit");
  }
  expect_seen(topic, "read_committed", 69, "aborted");
  expect_seen(topic, "read_committed", 69, "open");
  expect_seen(topic, "read_uncommitted", 102, "");
  expect_done(rd_kafka_commit_transaction(client, wait_ms), "commit");
  expect_seen(topic, "read_committed", 72, "aborted");
}

// Consume, transform, produce: an aborted round leaves no trace, the next one does it all.
static void exactly_once(void) {
  char out[120];
  create(partition_count);
  rd_kafka_t* plain = open_producer("none", "false");
  produce_plain(plain, topic, 0, 90, partition_count, "");
  sprintf(out, "%s-out", topic);
  rd_kafka_t* client = open_transactional();
  for (int commits = 0; commits < 2; ++commits) {
    expect_done(rd_kafka_begin_transaction(client), "begin");
    rd_kafka_t* consumer = open_consumer("read_committed");
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, RD_KAFKA_PARTITION_UA);
    expect_no_error(rd_kafka_subscribe(consumer, list), "subscribe");
    rd_kafka_topic_partition_list_destroy(list);
    for (int left = 90; left > 0; --left) {
      rd_kafka_message_t* message = next_message(consumer, left);
      expect_no_error(rd_kafka_producev(client, RD_KAFKA_V_TOPIC(out), RD_KAFKA_V_PARTITION(0),
                                        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                        RD_KAFKA_V_VALUE(message->payload, message->len),
                                        RD_KAFKA_V_END), "produce");
      rd_kafka_message_destroy(message);
    }
    expect_no_error(rd_kafka_flush(client, wait_ms), "flush");
    rd_kafka_topic_partition_list_t* places = NULL;
    expect_no_error(rd_kafka_assignment(consumer, &places), "assignment");
    expect_no_error(rd_kafka_position(consumer, places), "position");
    expect_done(rd_kafka_send_offsets_to_transaction(
        client, places, rd_kafka_consumer_group_metadata(consumer), wait_ms), "send offsets");
    expect_done(commits ? rd_kafka_commit_transaction(client, wait_ms)
                        : rd_kafka_abort_transaction(client, wait_ms), "end");
    if (commits) {
      expect_no_error(rd_kafka_committed(consumer, places, wait_ms), "committed");
      for (int p = 0; p < places->cnt; ++p) expect_equal(places->elems[p].offset, 30, "offset");
    }
    rd_kafka_topic_partition_list_destroy(places);  // The consumer waits for it.
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
  }
  expect_seen(out, "read_committed", 90, "none");
}

static void fenced(void) {
  create(partition_count);
  rd_kafka_t* first = open_transactional();
  expect_done(rd_kafka_begin_transaction(first), "begin");
  produce_plain(first, topic, 0, 9, partition_count, "first ");
  rd_kafka_t* second = open_transactional();
  rd_kafka_error_t* error = rd_kafka_commit_transaction(first, wait_ms);
  if (error == NULL) fail("a commit of who was shut out was accepted");
  expect_equal(rd_kafka_error_is_fatal(error), 1, "the error is fatal");
  expect_done(rd_kafka_begin_transaction(second), "begin");
  produce_plain(second, topic, 0, 9, partition_count, "second ");
  expect_done(rd_kafka_commit_transaction(second, wait_ms), "commit");
  expect_seen(topic, "read_committed", 9, "first");
}

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
