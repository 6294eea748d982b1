// What the Java client of the matrix is asked to do, and what it needs to say so.
package matrix;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.producer.ProducerRecord;

final class Story {
  static final int PARTITIONS = 3;
  static final int MEMBER_PARTITIONS = 4;
  static final int COUNT = 600;
  static final long START_MS = 1_700_000_000_000L;
  static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
  static final List<String> FEATURES = List.of("admin", "none", "gzip", "snappy", "lz4", "zstd",
      "idempotent", "seek", "resume", "group", "cooperative", "kip848", "group-admin",
      "transaction", "exactly-once", "fenced");

  static final class Wrong extends RuntimeException {
    Wrong(String what) {
      super(what);
    }
  }

  static void expectEqual(Object found, Object wanted, String what) {
    if (Objects.equals(found, wanted)) return;
    throw new Wrong(what + ": found " + found + ", wanted " + wanted);
  }

  static void expectError(Class<?> wanted, Callable<?> run, String what) throws Exception {
    try {
      run.call();
    } catch (Exception error) {
      Throwable cause = error.getCause() == null ? error : error.getCause();
      if (wanted.isInstance(error) || wanted.isInstance(cause)) return;
      throw error;
    }
    throw new Wrong(what + " was accepted");
  }

  static void waitFor(Callable<Boolean> done, String what) throws Exception {
    long end = System.nanoTime() + 40_000_000_000L;
    while (!done.call()) {
      expectEqual(System.nanoTime() < end, true, "in time: " + what);
      Thread.sleep(50);
    }
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  // Some without key, some empty, some without value, some with headers.
  static ProducerRecord<byte[], byte[]> record(String topic, String tag, int number) {
    boolean gone = number % 97 == 96;
    byte[] key = number % 7 == 0 && !gone ? null : bytes(tag + "-" + number);
    byte[] value = gone ? null : bytes((tag + " " + number).repeat(number % 40));
    ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
        topic, number % PARTITIONS, START_MS + 1000L * number, key, value);
    if (number % 4 > 0) record.headers().add("n", bytes("" + number));
    if (number % 4 > 1) record.headers().add("empty", new byte[0]);
    if (number % 4 > 2) record.headers().add("null", null);
    return record;
  }

  static List<ProducerRecord<byte[], byte[]>> records(String topic, String tag) {
    List<ProducerRecord<byte[], byte[]>> all = new ArrayList<>();
    for (int n = 0; n < COUNT; ++n) all.add(record(topic, tag, n));
    return all;
  }

  static List<ProducerRecord<byte[], byte[]>> plain(
      String topic, int first, int count, int partitions, String text) {
    List<ProducerRecord<byte[], byte[]>> all = new ArrayList<>();
    for (int n = first; n < first + count; ++n) {
      all.add(new ProducerRecord<>(topic, n % partitions, null, bytes(text + n)));
    }
    return all;
  }

  private Story() {}
}
