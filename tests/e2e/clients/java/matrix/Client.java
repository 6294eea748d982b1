// Apache Kafka's own Java client. Client HOST:PORT [FEATURE...].
package matrix;

import java.util.Arrays;
import java.util.List;

public final class Client {
  private final Cluster cluster;
  private final Records records;
  private final Groups groups;
  private final Transactions transactions;

  private Client(String address) {
    cluster = new Cluster(address);
    records = new Records(cluster);
    groups = new Groups(cluster);
    transactions = new Transactions(cluster);
  }

  private void tell(String feature, String topic) throws Exception {
    switch (feature) {
      case "admin" -> new Administration(cluster).administer(topic);
      case "idempotent" -> records.roundTrip(topic, "none", true);
      case "seek" -> records.seek(topic);
      case "resume" -> groups.resume(topic);
      case "group", "cooperative", "kip848" -> groups.share(topic, feature);
      case "group-admin" -> groups.groupAdmin(topic);
      case "transaction" -> transactions.transaction(topic);
      case "exactly-once" -> transactions.exactlyOnce(topic);
      case "fenced" -> transactions.fenced(topic);
      default -> records.roundTrip(topic, feature, false);
    }
  }

  public static void main(String[] arguments) {
    Client client = new Client(arguments[0]);
    client.cluster.admin.metrics().values().stream()
        .filter(m -> m.metricName().group().equals("app-info")
            && m.metricName().name().equals("version"))
        .findFirst().ifPresent(m -> System.out.println("version " + m.metricValue()));
    List<String> chosen = arguments.length > 1
        ? Arrays.asList(arguments).subList(1, arguments.length) : Story.FEATURES;
    for (String feature : chosen) {
      String said = "ok";
      try {
        client.tell(feature, "java-" + feature + "-" + System.currentTimeMillis() % 1_000_000_000);
      } catch (Exception error) {
        if (!(error instanceof Story.Wrong)) error.printStackTrace();
        said = "bad " + error.toString().replace('\n', ' ');
      }
      System.out.println("feature " + feature + " " + said);
    }
    System.exit(0);
  }
}
