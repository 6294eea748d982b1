// Kafka Streams counts words, exactly once. WordCount HOST:PORT NAME INPUT OUTPUT STATE_FOLDER; runs
// until standard input ends.
import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Produced;

public final class WordCount {
  public static void main(String[] arguments) throws Exception {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", arguments[0]);
    settings.put("application.id", arguments[1]);
    settings.put("state.dir", arguments[4]);
    settings.put("processing.guarantee", "exactly_once_v2");
    settings.put("default.key.serde", Serdes.String().getClass());
    settings.put("default.value.serde", Serdes.String().getClass());
    settings.put("commit.interval.ms", 200);
    settings.put("replication.factor", 1);
    settings.put("consumer.session.timeout.ms", 6000);
    settings.put("consumer.auto.offset.reset", "earliest");
    StreamsBuilder builder = new StreamsBuilder();
    builder.<String, String>stream(arguments[2])
        .flatMapValues(line -> Arrays.asList(line.toLowerCase().split("\\W+")))
        .groupBy((key, word) -> word)
        .count()
        .toStream()
        .mapValues(count -> "" + count)
        .to(arguments[3], Produced.with(Serdes.String(), Serdes.String()));
    KafkaStreams streams = new KafkaStreams(builder.build(), settings);
    streams.setUncaughtExceptionHandler(error -> {
      error.printStackTrace();
      return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler
          .StreamThreadExceptionResponse.REPLACE_THREAD;
    });
    streams.start();
    System.in.transferTo(System.out);
    streams.close();
  }
}
