#include "log/checkpoint.h"

#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "base/crc32c.h"
#include "log/little_endian.h"

namespace tailrace::log {
namespace {

// The header, by bytes:
//   0 magic 4 | 4 version 4 | 8 content_bytes 8 | 16 content_crc 4 | 20 crc 4 (of bytes 0 to 19)
// "TRCP", read as a little-endian number.
constexpr std::uint32_t magic = 0x5043'5254U;
// Version 1 knew nothing of transactions; before version 3, and so before compaction, segments had
// no generations and there were no passes.
constexpr std::uint32_t version_now = 3;
constexpr std::uint32_t version_oldest = 1;
constexpr std::size_t header_bytes = 24;
constexpr std::size_t header_crc_pos = 20;

// The least an element of each list takes: a count in the file that could not fit in the bytes
// that follow is refused before anything is allocated for it.
constexpr std::size_t partition_bytes_min = 24 + 8 + 8 + 3 * 4;
constexpr std::size_t segment_bytes_min = 6 * 8;
constexpr std::size_t epoch_bytes = 4 + 8;
constexpr std::size_t producer_bytes_min = 8 + 2 + 1 + 8;
constexpr std::size_t pass_bytes = 4 * 8;
constexpr std::size_t aborted_bytes = 4 * 8;

// One write at a time, in pieces: a checkpoint is never in a hurry, the WAL beside it is.
constexpr std::size_t write_bytes_max = std::size_t{256} << 10;

class Encoder {
 public:
  explicit Encoder(std::vector<std::byte>& bytes) : bytes_(bytes) {}
  template <std::integral T>
  void put(T value) {
    std::byte stored[sizeof(T)];
    store_le(stored, value);
    bytes_.insert(bytes_.end(), stored, stored + sizeof(T));
  }
  void put(const Uuid& id) {
    const auto* from = reinterpret_cast<const std::byte*>(id.bytes.data());
    bytes_.insert(bytes_.end(), from, from + id.bytes.size());
  }
  void put_count(std::size_t count) {
    TR_ASSERT(count <= UINT32_MAX);
    put(static_cast<std::uint32_t>(count));
  }

 private:
  std::vector<std::byte>& bytes_;
};

// Reads from the front; once the bytes ran out everything reads as zero and ok() is false.
class Decoder {
 public:
  explicit Decoder(Bytes bytes) : left_(bytes) {}
  template <std::integral T>
  void get(T& value) {
    value = T{};
    if (!take(sizeof(T))) return;
    value = load_le<T>(left_.data() - sizeof(T));
  }
  void get(Uuid& id) {
    if (!take(id.bytes.size())) return;
    std::memcpy(id.bytes.data(), left_.data() - id.bytes.size(), id.bytes.size());
  }
  // A count of elements that take at least so many bytes each; 0 when they cannot be there.
  std::size_t get_count(std::size_t element_bytes_min) {
    std::uint32_t count = 0;
    get(count);
    if (count > left_.size() / element_bytes_min) ok_ = false;
    return ok_ ? count : 0;
  }
  void refuse() { ok_ = false; }
  bool ok() const { return ok_; }
  bool at_end() const { return left_.empty(); }

 private:
  bool take(std::size_t size) {
    if (!ok_ || left_.size() < size) {
      ok_ = false;
      return false;
    }
    left_ = left_.subspan(size);
    return true;
  }
  Bytes left_;
  bool ok_ = true;
};

void put_producer(Encoder& out, const ProducerState& producer) {
  TR_ASSERT(producer.batch_count <= ProducerState::batches_max);
  out.put(producer.producer_id);
  out.put(producer.epoch);
  out.put(producer.batch_count);
  out.put(producer.last_seen_ms);
  out.put(producer.coordinator_epoch);
  out.put(producer.transaction_start);
  for (std::size_t i = 0; i < producer.batch_count; ++i) {
    const ProducerBatch& batch = producer.batches[i];
    out.put(batch.first_sequence);
    out.put(batch.last_sequence);
    out.put(batch.base_offset);
    out.put(batch.last_offset);
    out.put(batch.timestamp_ms);
  }
}

ProducerState get_producer(Decoder& in, std::uint32_t version) {
  ProducerState producer;
  in.get(producer.producer_id);
  in.get(producer.epoch);
  in.get(producer.batch_count);
  in.get(producer.last_seen_ms);
  if (version >= 2) {
    in.get(producer.coordinator_epoch);
    in.get(producer.transaction_start);
  }
  if (producer.batch_count > ProducerState::batches_max) {
    in.refuse();
    producer.batch_count = 0;
  }
  for (std::size_t i = 0; i < producer.batch_count; ++i) {
    ProducerBatch& batch = producer.batches[i];
    in.get(batch.first_sequence);
    in.get(batch.last_sequence);
    in.get(batch.base_offset);
    in.get(batch.last_offset);
    in.get(batch.timestamp_ms);
  }
  return producer;
}

void put_aborted(Encoder& out, const AbortedTransaction& transaction) {
  out.put(transaction.producer_id);
  out.put(transaction.first_offset);
  out.put(transaction.last_offset);
  out.put(transaction.stable_end);
}

AbortedTransaction get_aborted(Decoder& in) {
  AbortedTransaction transaction;
  in.get(transaction.producer_id);
  in.get(transaction.first_offset);
  in.get(transaction.last_offset);
  in.get(transaction.stable_end);
  return transaction;
}

void put_segment(Encoder& out, const SegmentInfo& segment) {
  out.put(segment.base_offset);
  out.put(segment.end_offset);
  out.put(segment.size_bytes);
  out.put(segment.max_timestamp);
  out.put(segment.max_timestamp_offset);
  out.put(segment.created_ms);
  out.put(segment.generation);
}

SegmentInfo get_segment(Decoder& in, std::uint32_t version) {
  SegmentInfo segment;
  in.get(segment.base_offset);
  in.get(segment.end_offset);
  in.get(segment.size_bytes);
  in.get(segment.max_timestamp);
  in.get(segment.max_timestamp_offset);
  in.get(segment.created_ms);
  if (version >= 3) in.get(segment.generation);
  return segment;
}

void put_pass(Encoder& out, const CleanPass& pass) {
  out.put(pass.end_offset);
  out.put(pass.first_ms);
  out.put(pass.last_ms);
  out.put(pass.waiting);
}

CleanPass get_pass(Decoder& in) {
  CleanPass pass;
  in.get(pass.end_offset);
  in.get(pass.first_ms);
  in.get(pass.last_ms);
  in.get(pass.waiting);
  return pass;
}

void put_partition(Encoder& out, const PartitionCheckpoint& partition) {
  out.put(partition.key.topic);
  out.put(partition.key.partition);
  out.put(partition.key.incarnation);
  out.put(partition.log_start);
  out.put(partition.end_offset);
  out.put_count(partition.segments.size());
  out.put_count(partition.epochs.size());
  out.put_count(partition.producers.size());
  for (const SegmentInfo& segment : partition.segments) put_segment(out, segment);
  for (const EpochStart& epoch : partition.epochs) {
    out.put(epoch.epoch);
    out.put(epoch.start_offset);
  }
  for (const ProducerState& producer : partition.producers) put_producer(out, producer);
  out.put_count(partition.aborted.size());
  for (const AbortedTransaction& transaction : partition.aborted) put_aborted(out, transaction);
  out.put_count(partition.passes.size());
  for (const CleanPass& pass : partition.passes) put_pass(out, pass);
}

PartitionCheckpoint get_partition(Decoder& in, std::uint32_t version) {
  PartitionCheckpoint partition;
  in.get(partition.key.topic);
  in.get(partition.key.partition);
  in.get(partition.key.incarnation);
  in.get(partition.log_start);
  in.get(partition.end_offset);
  const std::size_t segment_count = in.get_count(segment_bytes_min);
  const std::size_t epoch_count = in.get_count(epoch_bytes);
  const std::size_t producer_count = in.get_count(producer_bytes_min);
  partition.segments.reserve(segment_count);
  for (std::size_t i = 0; in.ok() && i < segment_count; ++i) {
    partition.segments.push_back(get_segment(in, version));
  }
  partition.epochs.reserve(epoch_count);
  for (std::size_t i = 0; in.ok() && i < epoch_count; ++i) {
    EpochStart epoch;
    in.get(epoch.epoch);
    in.get(epoch.start_offset);
    partition.epochs.push_back(epoch);
  }
  // Not reserved: a state in memory is many times its smallest encoding.
  for (std::size_t i = 0; in.ok() && i < producer_count; ++i) {
    partition.producers.push_back(get_producer(in, version));
  }
  const std::size_t aborted_count = version >= 2 ? in.get_count(aborted_bytes) : 0;
  partition.aborted.reserve(aborted_count);
  for (std::size_t i = 0; in.ok() && i < aborted_count; ++i) {
    partition.aborted.push_back(get_aborted(in));
  }
  const std::size_t pass_count = version >= 3 ? in.get_count(pass_bytes) : 0;
  for (std::size_t i = 0; in.ok() && i < pass_count; ++i) {
    partition.passes.push_back(get_pass(in));
  }
  return partition;
}

Result<Checkpoint> decode_content(Bytes content, std::uint32_t version) {
  Decoder in(content);
  Checkpoint checkpoint;
  in.get(checkpoint.wal);
  in.get(checkpoint.number);
  in.get(checkpoint.replay_from.seq);
  in.get(checkpoint.replay_from.file_pos);
  in.get(checkpoint.replay_from.previous_crc);
  const std::size_t partition_count = in.get_count(partition_bytes_min);
  for (std::size_t i = 0; in.ok() && i < partition_count; ++i) {
    checkpoint.partitions.push_back(get_partition(in, version));
  }
  if (!in.ok() || !in.at_end()) return fail(Errc::malformed);
  const WalMark& mark = checkpoint.replay_from;
  if (mark.seq == 0 || mark.file_pos < disk_block_bytes || mark.file_pos % disk_block_bytes != 0) {
    return fail(Errc::malformed);
  }
  return checkpoint;
}

}  // namespace

void encode_checkpoint(const Checkpoint& checkpoint, std::vector<std::byte>& bytes) {
  bytes.clear();
  bytes.resize(header_bytes);
  Encoder out(bytes);
  out.put(checkpoint.wal);
  out.put(checkpoint.number);
  out.put(checkpoint.replay_from.seq);
  out.put(checkpoint.replay_from.file_pos);
  out.put(checkpoint.replay_from.previous_crc);
  out.put_count(checkpoint.partitions.size());
  for (const PartitionCheckpoint& partition : checkpoint.partitions) put_partition(out, partition);

  const std::size_t content_bytes = bytes.size() - header_bytes;
  bytes.resize(round_up(bytes.size(), disk_block_bytes));
  store_le(bytes.data(), magic);
  store_le(bytes.data() + 4, version_now);
  store_le(bytes.data() + 8, std::uint64_t{content_bytes});
  store_le(bytes.data() + 16, crc32c(Bytes(bytes).subspan(header_bytes, content_bytes)));
  store_le(bytes.data() + header_crc_pos, crc32c(Bytes(bytes).first(header_crc_pos)));
}

Result<Checkpoint> decode_checkpoint(Bytes bytes) {
  if (bytes.size() < header_bytes) return fail(Errc::truncated);
  if (load_le<std::uint32_t>(bytes.data()) != magic) return fail(Errc::malformed);
  const auto header_crc = load_le<std::uint32_t>(bytes.data() + header_crc_pos);
  if (crc32c(bytes.first(header_crc_pos)) != header_crc) return fail(Errc::corrupt);
  const auto version = load_le<std::uint32_t>(bytes.data() + 4);
  if (version < version_oldest || version > version_now) {
    return fail(Errc::unsupported, static_cast<std::uint16_t>(version));
  }
  const auto content_bytes = load_le<std::uint64_t>(bytes.data() + 8);
  // The file may be longer: it is written over, and an earlier checkpoint may have been larger.
  if (content_bytes > bytes.size() - header_bytes) return fail(Errc::truncated);
  const Bytes content = bytes.subspan(header_bytes, content_bytes);
  if (crc32c(content) != load_le<std::uint32_t>(bytes.data() + 16)) return fail(Errc::corrupt);
  return decode_content(content, version);
}

CheckpointWriter::CheckpointWriter(OpQueue& queue) : queue_(queue), buffer_(disk_block_bytes) {}

void CheckpointWriter::start(std::string_view path, const Checkpoint& checkpoint) {
  TR_ASSERT(phase_ == Phase::idle);
  encode_checkpoint(checkpoint, encoded_);
  TR_ASSERT(encoded_.size() % disk_block_bytes == 0);
  size_bytes_ = encoded_.size();
  // Twice what is needed: the number of partitions and segments grows slowly.
  if (buffer_.size() < size_bytes_) buffer_ = AlignedBuffer(2 * size_bytes_);
  std::memcpy(buffer_.data(), encoded_.data(), size_bytes_);
  written_bytes_ = 0;
  succeeded_ = false;
  phase_ = Phase::opening;
  push({.kind = DiskOpKind::open, .flags = open_create, .name = FileName(path)});
}

void CheckpointWriter::on_disk_done(const DiskDone& done) {
  TR_ASSERT(asker_of(done.tag) == Asker::checkpoint);
  switch (phase_) {
    case Phase::opening:
      if (done.result < 0) {
        phase_ = Phase::idle;
        return;
      }
      file_ = static_cast<FileId>(done.result);
      phase_ = Phase::writing;
      push_write();
      break;
    case Phase::writing:
      // A short write may hide a full disk; the file is half new, the other one still counts.
      if (done.result != static_cast<std::int64_t>(write_bytes_)) return close_file();
      written_bytes_ += write_bytes_;
      if (written_bytes_ < size_bytes_) return push_write();
      phase_ = Phase::syncing;
      push({.kind = DiskOpKind::sync, .file = file_});
      break;
    case Phase::syncing:
      succeeded_ = done.result >= 0;
      close_file();
      break;
    case Phase::closing:
      phase_ = Phase::idle;
      file_ = no_file;
      break;
    case Phase::idle: TR_ASSERT(false);  // Nothing is under way.
  }
}

bool CheckpointWriter::busy() const { return phase_ != Phase::idle; }

bool CheckpointWriter::succeeded() const {
  TR_ASSERT(!busy());
  return succeeded_;
}

void CheckpointWriter::push_write() {
  TR_ASSERT(written_bytes_ < size_bytes_);
  write_bytes_ = std::min(write_bytes_max, size_bytes_ - written_bytes_);
  push({.kind = DiskOpKind::write,
        .file = file_,
        .file_pos = written_bytes_,
        .block = buffer_.bytes().subspan(written_bytes_, write_bytes_)});
}

void CheckpointWriter::close_file() {
  phase_ = Phase::closing;
  push({.kind = DiskOpKind::close, .file = file_});
}

void CheckpointWriter::push(DiskOp op) {
  op.disk_class = DiskClass::background;
  op.tag = make_tag(Asker::checkpoint, 0);
  queue_.push(op);
}

}  // namespace tailrace::log
