// Records written and read: with each codec byte by byte, by offset and by time.
package matrix;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;

final class Records {
  private final Cluster cluster;

  Records(Cluster cluster) {
    this.cluster = cluster;
  }

  void roundTrip(String topic, String codec, boolean idempotent) throws Exception {
    cluster.create(topic, Story.PARTITIONS, Map.of());
    var sent = Story.records(topic, codec);
    List<Long> told = cluster.produce(sent, codec, idempotent);
    var found = cluster.read(topic, Map.of(), Story.COUNT, "read_committed");
    for (int n = 0; n < Story.COUNT; ++n) {
      long offset = n / Story.PARTITIONS;
      var wanted = sent.get(n);
      var one = found.get(wanted.partition()).get((int) offset);
      String where = "record " + n;
      Story.expectEqual(told.get(n), offset, where + ", offset told");
      Story.expectEqual(one.offset(), offset, where + ", offset");
      Story.expectEqual(one.timestamp(), wanted.timestamp(), where + ", time");
      Story.expectEqual(Arrays.equals(one.key(), wanted.key()), true, where + ", key");
      Story.expectEqual(Arrays.equals(one.value(), wanted.value()), true, where + ", value");
      Story.expectEqual(one.headers(), wanted.headers(), where + ", headers");
    }
  }

  void seek(String topic) throws Exception {
    cluster.create(topic, Story.PARTITIONS, Map.of());
    cluster.produce(Story.records(topic, "seek"), "none", false);
    TopicPartition one = new TopicPartition(topic, 1);
    Map<OffsetSpec, Long> wanted = Map.of(OffsetSpec.earliest(), 0L, OffsetSpec.latest(), 200L,
        OffsetSpec.maxTimestamp(), 199L, OffsetSpec.forTimestamp(Story.START_MS + 450_000), 150L);
    for (var spec : wanted.entrySet()) {
      long found = cluster.admin.listOffsets(Map.of(one, spec.getKey())).partitionResult(one).get()
          .offset();
      Story.expectEqual(found, spec.getValue(), "offset by " + spec.getKey());
    }
    long at;
    try (var consumer = cluster.consumer(cluster.settings())) {
      Story.expectEqual(consumer.beginningOffsets(List.of(one)).get(one), 0L, "beginning");
      Story.expectEqual(consumer.endOffsets(List.of(one)).get(one), 200L, "end");
      at = consumer.offsetsForTimes(Map.of(one, Story.START_MS + 450_000)).get(one).offset();
    }
    var found = cluster.read(topic, Map.of(0, 198L, 1, at, 2, 200L), 52, "read_committed");
    Story.expectEqual(found.get(0).get(0).offset(), 198L, "after a seek");
    Story.expectEqual(found.get(1).get(0).timestamp(), Story.START_MS + 451_000, "by time");
  }
}
