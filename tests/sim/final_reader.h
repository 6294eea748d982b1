// FinalReader: when everything else is over, asks for the metadata and reads every partition from
// its first to its last record, for the checkers.
#pragma once

#include <set>

#include "client.h"

namespace tailrace::sim {

class FinalReader final : public Client {
 public:
  FinalReader(World& world, Prng prng);

  bool settled() const override { return stage_ == Stage::done; }
  std::string waiting_for() const override;

 private:
  // metadata -> (start -> end -> records)* -> done
  enum class Stage : std::uint8_t { metadata, start, end, records, done };
  void act() override;
  void on_response(const Asked& asked, Bytes frame) override;
  void on_disconnect() override { wait(milliseconds(2)); }

  void ask_metadata();
  void ask_offset(std::int64_t timestamp);
  void ask_records();
  void on_metadata(const Asked& asked, Bytes frame);
  void on_offset(const Asked& asked, Bytes frame);
  void on_records(const Asked& asked, Bytes frame);
  void next_partition();

  Stage stage_ = Stage::metadata;
  std::uint32_t partition_ = 0;
  std::int64_t start_ = 0;
  std::int64_t end_ = 0;
  std::int64_t position_ = 0;
  std::deque<std::vector<std::byte>> read_;  // what the records below point into
  std::vector<SeenRecord> seen_;
};

}  // namespace tailrace::sim
