// Topics and their configs.
package matrix;

import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.TopicExistsException;

final class Administration {
  private final Cluster cluster;
  private final Admin admin;

  Administration(Cluster cluster) {
    this.cluster = cluster;
    this.admin = cluster.admin;
  }

  private String retention(ConfigResource resource) throws Exception {
    return admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms")
        .value();
  }

  private Void alter(ConfigResource resource, String value, AlterConfigOp.OpType type)
      throws Exception {
    AlterConfigOp change = new AlterConfigOp(new ConfigEntry("retention.ms", value), type);
    admin.incrementalAlterConfigs(Map.of(resource, List.of(change))).all().get();
    return null;
  }

  void administer(String topic) throws Exception {
    cluster.create(topic, Story.PARTITIONS, Map.of("retention.ms", "-1"));
    Story.expectError(TopicExistsException.class, () -> {
      cluster.create(topic, 1, Map.of());
      return null;
    }, "the same topic again");
    Story.expectEqual(admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic)
        .partitions().size(), Story.PARTITIONS, "partitions");
    Story.expectEqual(admin.describeCluster().nodes().get().size(), 1, "nodes");
    cluster.produce(Story.records(topic, "admin"), "none", false);
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    Story.expectEqual(retention(resource), "-1", "retention.ms as created");
    alter(resource, "86400000", AlterConfigOp.OpType.SET);
    Story.waitFor(() -> retention(resource).equals("86400000"), "retention.ms altered");
    alter(resource, null, AlterConfigOp.OpType.DELETE);
    Story.waitFor(() -> retention(resource).equals("604800000"), "retention.ms by default");
    Story.expectError(InvalidConfigurationException.class,
        () -> alter(resource, "soon", AlterConfigOp.OpType.SET), "a bad value");
    TopicPartition zero = new TopicPartition(topic, 0);
    var told = admin.deleteRecords(Map.of(zero, RecordsToDelete.beforeOffset(40)));
    Story.expectEqual(told.lowWatermarks().get(zero).get().lowWatermark(), 40L, "low watermark");
    // Below the start: the reset policy finds the first record.
    var left = cluster.read(topic, Map.of(0, 10L), Story.COUNT - 40, "read_committed");
    Story.expectEqual(left.get(0).get(0).offset(), 40L, "first record left");
    admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
    Story.waitFor(() -> admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic)
        .partitions().size() == 5, "partitions after growing");
    admin.deleteTopics(Set.of(topic)).all().get();
    Story.waitFor(() -> !admin.listTopics().names().get().contains(topic), "the topic is gone");
  }
}
