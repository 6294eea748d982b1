// Members that share, leave and come back; the group's administration.
#include "client.h"

#include <stdlib.h>

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

void resume(void) {
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

void share(const char* strategy) {
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

void group_admin(void) {
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
