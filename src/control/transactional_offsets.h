// TransactionalOffsets: offsets of one group that were committed in transactions which have not
// ended. Nobody is told of them; a commit's marker makes them the group's, an abort's drops them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "control/group_records.h"
#include "control/offsets.h"

namespace tailrace::control {

class TransactionalOffsets {
 public:
  struct Pending {
    OffsetKey key;
    OffsetRecord record;
  };

  // The newest of a producer for one key counts. `write` names what has put it there; 0: it is
  // durable already.
  void add(std::int64_t producer_id, const OffsetKey& key, const OffsetRecord& record,
           std::uint64_t write);
  // That write is durable, at this place in the order of all; or it was not kept.
  void keep(std::int64_t producer_id, std::uint64_t write, std::uint64_t order);
  void forget(std::int64_t producer_id, std::uint64_t write);
  // The transaction has ended.
  std::vector<Pending> take(std::int64_t producer_id);

  bool contains(std::string_view topic, std::int32_t partition) const;
  std::vector<std::int64_t> producers() const;
  bool empty() const { return producers_.empty(); }
  std::size_t size() const { return size_; }
  // Held, roughly.
  std::uint64_t memory_bytes() const { return memory_bytes_; }

 private:
  struct Held {
    OffsetRecord record;
    std::uint64_t write = 0;  // on its way; 0: durable
  };
  // The oldest first: the last durable one, and what is on its way behind it, which may fail.
  using Versions = std::vector<Held>;
  using Offsets = std::map<OffsetKey, Versions>;

  // Versions [first, last) of it are no longer needed.
  void erase(const OffsetKey& key, Versions& versions, Versions::iterator first,
             Versions::iterator last);

  std::map<std::int64_t, Offsets> producers_;
  std::size_t size_ = 0;
  std::uint64_t memory_bytes_ = 0;
};

}  // namespace tailrace::control
