// Transactions: what both isolation levels see, exactly once, fencing.
#include "client.h"

#include <string.h>

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

void transaction(void) {
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
void exactly_once(void) {
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

void fenced(void) {
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
