#include "io/steering/handover.h"

#include <bit>
#include <utility>

#include "base/assert.h"

namespace tailrace::io {

Handover::Handover(std::uint16_t cores, std::uint32_t lent_max, const net::RssKey& key)
    : steering_(cores, key), lent_max_(lent_max), places_(cores) {
  TR_ASSERT(lent_max > 0);
  // All that may be lent has room, so that neither direction is ever full.
  const std::size_t capacity = std::bit_ceil(std::size_t{lent_max});
  for (std::size_t i = 0; i < std::size_t{cores} * cores; ++i) {
    const bool is_self = i / cores == i % cores;
    frames_.push_back(is_self ? nullptr : std::make_unique<FrameRing>(capacity));
    tokens_.push_back(is_self ? nullptr : std::make_unique<TokenRing>(capacity));
  }
}

Handover::~Handover() = default;

void Handover::keep(std::uint16_t core, std::unique_ptr<PacketDevice> queue) {
  places_[core].idle = nullptr;
  places_[core].queue = std::move(queue);
}

}  // namespace tailrace::io
