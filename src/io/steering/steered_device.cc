#include "io/steering/steered_device.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace tailrace::io {

SteeredDevice::SteeredDevice(Handover& handover, std::uint16_t core,
                             std::unique_ptr<PacketDevice> queue)
    : handover_(handover), core_(core), queue_(std::move(queue)),
      own_max_(queue_->offers().frames_max), offers_(queue_->offers()), holders_(own_max_),
      lent_(handover.cores()), to_wake_(handover.cores()) {
  const std::uint32_t guests_max = (handover.cores() - 1U) * handover.lent_max();
  TR_ASSERT(core < handover.cores());
  TR_ASSERT(own_max_ > guests_max);   // As many as others have of ours, we may have of theirs.
  const std::uint32_t share = std::min(own_max_ - guests_max, handover.lent_max());
  offers_.frames_max = own_max_ + guests_max;
  offers_.frames_kept_max = share - share / 4;
  guests_.resize(guests_max);
  guests_free_.reserve(guests_max);
  for (std::uint32_t i = guests_max; i > 0; --i) guests_free_.push_back(i - 1);
}

SteeredDevice::~SteeredDevice() { handover_.keep(core_, std::move(queue_)); }

// ---- in

// Others' frames and those of the own queue share a burst: neither waits for the other.
std::size_t SteeredDevice::receive(std::span<RxFrame> frames) {
  take_back();
  std::size_t count = take_guests(frames.first((frames.size() + 1) / 2));
  count += take_own(frames.subspan(count));
  count += take_guests(frames.subspan(count));
  give_back();
  for (std::uint16_t core = 0; core < handover_.cores(); ++core) {
    if (!to_wake_[core]) continue;
    to_wake_[core] = false;
    handover_.wake(core);
  }
  look_whether_short();
  return count;
}

// Frames that others are done with.
void SteeredDevice::take_back() {
  std::array<std::uint64_t, burst_max> tokens;
  for (std::uint16_t core = 0; core < handover_.cores(); ++core) {
    while (lent_[core] > 0) {
      const std::size_t count = handover_.tokens(core, core_).pop(tokens);
      lent_[core] -= static_cast<std::uint32_t>(count);
      for (std::size_t i = 0; i < count; ++i) drop_holder(tokens[i]);
      if (count < tokens.size()) break;
    }
  }
  give_back();   // Now: the queue may have no others to receive with.
}

std::size_t SteeredDevice::take_guests(std::span<RxFrame> frames) {
  std::size_t count = 0;
  const std::uint16_t cores = handover_.cores();
  for (std::uint16_t i = 0; i < cores && count < frames.size(); ++i) {
    const auto origin = static_cast<std::uint16_t>((next_origin_ + i) % cores);
    if (origin == core_) continue;
    const std::size_t taken = handover_.frames(origin, core_).pop(frames.subspan(count));
    for (RxFrame& frame : frames.subspan(count, taken)) {
      TR_ASSERT(!guests_free_.empty());   // No core hands over more than its lent_max.
      const std::uint32_t place = guests_free_.back();
      guests_free_.pop_back();
      guests_[place] = {origin, frame.token};
      frame.token = own_max_ + place;
    }
    count += taken;
  }
  next_origin_ = static_cast<std::uint16_t>((next_origin_ + 1) % cores);
  handover_.places_[core_].counters.taken_over.add(count);
  return count;
}

std::size_t SteeredDevice::take_own(std::span<RxFrame> frames) {
  std::array<RxFrame, burst_max> burst;
  std::size_t count = 0;
  for (std::size_t looks = 0; count < frames.size() && looks < looks_max;) {
    // No more than would fit if all were ours.
    const std::size_t wanted = std::min(burst.size(), frames.size() - count);
    const std::size_t received = queue_->receive(std::span(burst).first(wanted));
    for (const RxFrame& frame : std::span(burst).first(received)) {
      if (steer(frame)) frames[count++] = frame;
    }
    if (received < wanted) break;
    looks += received;
  }
  return count;
}

// True when the own stack gets it, be it alone or with others.
bool SteeredDevice::steer(const RxFrame& frame) {
  TR_ASSERT(frame.token < own_max_);
  TR_ASSERT(holders_[frame.token] == 0);
  const net::FrameOwner owner = handover_.steering().owner_of(frame.bytes);
  std::uint16_t others = 0;
  bool is_ours = true;
  switch (owner.kind) {
    case net::FrameOwner::Kind::anyone:
      break;
    case net::FrameOwner::Kind::one:
      is_ours = owner.core == core_;
      if (!is_ours && hand_over(owner.core, frame)) ++others;
      break;
    case net::FrameOwner::Kind::everyone:
      for (std::uint16_t core = 0; core < handover_.cores(); ++core) {
        if (core != core_ && hand_over(core, frame)) ++others;
      }
      break;
  }
  // One more than there are, for the moment, so that there is one way in which it ends.
  holders_[frame.token] = others + 1;
  ++held_;
  if (!is_ours) drop_holder(frame.token);
  return is_ours;
}

bool SteeredDevice::hand_over(std::uint16_t to, const RxFrame& frame) {
  Handover::Counters& counters = handover_.places_[core_].counters;
  if (lent_[to] == handover_.lent_max()) {
    counters.drop_no_turns.add();
    return false;
  }
  TR_ASSERT(handover_.frames(core_, to).push(frame));
  ++lent_[to];
  to_wake_[to] = true;
  counters.handed_over.add();
  return true;
}

// ---- and back

void SteeredDevice::release(std::span<const std::uint64_t> tokens) {
  for (const std::uint64_t token : tokens) {
    if (is_guest(token)) {
      release_guest(token);
    } else {
      drop_holder(token);
    }
  }
  give_back();
}

void SteeredDevice::release_guest(std::uint64_t token) {
  const std::uint64_t place = token - own_max_;
  TR_ASSERT(place < guests_.size());
  TR_ASSERT(guests_free_.size() < guests_.size());
  const Guest guest = guests_[place];
  guests_free_.push_back(static_cast<std::uint32_t>(place));
  Handover::TokenRing& ring = handover_.tokens(core_, guest.origin);
  TR_ASSERT(ring.push(guest.token));
  if (ring.wants_wake()) handover_.wake(guest.origin);
}

void SteeredDevice::drop_holder(std::uint64_t token) {
  TR_ASSERT(token < own_max_);
  TR_ASSERT(holders_[token] > 0);
  if (--holders_[token] > 0) return;
  --held_;
  done_[done_count_++] = token;
  if (done_count_ == done_.size()) give_back();
}

void SteeredDevice::give_back() {
  if (done_count_ > 0) queue_->release(std::span(done_).first(done_count_));
  done_count_ = 0;
}

// A queue without free frames is woken by none that come, so whoever gives one back has to.
void SteeredDevice::look_whether_short() {
  const bool is_short = held_ == own_max_;
  if (is_short == is_short_) return;
  is_short_ = is_short;
  for (std::uint16_t core = 0; core < handover_.cores(); ++core) {
    if (core == core_) continue;
    Handover::TokenRing& ring = handover_.tokens(core, core_);
    if (is_short) {
      ring.prepare_sleep();
    } else {
      ring.end_sleep();
    }
  }
}

Instant SteeredDevice::next_deadline() const {
  for (std::uint16_t core = 0; core < handover_.cores(); ++core) {
    if (core == core_) continue;
    if (!handover_.frames(core, core_).empty()) return Instant{};
    if (is_short_ && !handover_.tokens(core, core_).empty()) return Instant{};
  }
  return queue_->next_deadline();
}

}  // namespace tailrace::io
