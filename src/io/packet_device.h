// The packet seam: one queue of a network device. Implementations: io/tap/tap_device,
// io/dpdk/dpdk_device; tests have their own. Only io/userstack/stack_driver uses it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/counter.h"
#include "base/frame.h"
#include "base/time.h"

namespace tailrace::io {

using LinkAddress = std::array<std::uint8_t, 6>;

// What the device does itself; for the rest its user has software.
struct DeviceOffers {
  std::uint16_t mtu = 1500;                  // IP packets of this size fit
  bool checksums = false;                    // completes those of TCP (TxFrame::checksum_pos)
  std::uint32_t segmentation_bytes_max = 0;  // payload that it cuts into segments; 0: none
  std::uint32_t frames_max = 0;              // received frames that it lends at a time
  std::uint32_t frames_kept_max = 0;         // those that may stay with its user; 0: most of them
  std::optional<LinkAddress> address;        // that it has; none: it takes frames for any
};

// Since the start.
struct DeviceNumbers {
  Counter received_frames;
  Counter received_bytes;
  Counter sent_frames;        // long ones count once
  Counter sent_bytes;
  Counter missed_frames;      // came and found no room, with all queues of the port
  Counter receive_errors;     // came and could not be given on
  Counter send_errors;        // were taken and could not be sent
};

// One owner thread; no call blocks.
class PacketDevice {
 public:
  virtual ~PacketDevice() = default;

  virtual const DeviceOffers& offers() const = 0;
  // From any thread.
  virtual DeviceNumbers numbers() const = 0;
  // Where most payload lies, as long as the device is there: some read it without a copy.
  virtual void set_payload_memory(std::span<const MutableBytes>) {}

  // Fills `frames` from the front; returns how many. A frame's bytes stay valid until release() of
  // its token, which is below offers().frames_max. While all are lent, none comes.
  virtual std::size_t receive(std::span<RxFrame> frames) = 0;
  virtual void release(std::span<const std::uint64_t> tokens) = 0;

  // Takes frames from the front; returns how many: the rest is to be offered again, first. A frame
  // is copied or gone when it is taken; its payload is read until its hold is finished.
  virtual std::size_t transmit(std::span<const TxFrame> frames) = 0;
  // The holds whose payload is no longer read; returns how many.
  virtual std::size_t take_finished(std::span<std::uint32_t> holds) = 0;

  // The device is gone, for good.
  virtual bool failed() const { return false; }

  // When receive() or transmit() wants to be called even without a wake-up of the thread.
  virtual Instant next_deadline() const = 0;
};

}  // namespace tailrace::io
