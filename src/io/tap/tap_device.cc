#include "io/tap/tap_device.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "io/kernel_interface.h"
#include "io/tap/virtio_header.h"

namespace tailrace::io {
namespace {

constexpr const char* control_path = "/dev/net/tun";
// Of a receive buffer: the longest IP packet, Ethernet, a VLAN tag; whole cache lines. Of most,
// only the first page is ever touched.
constexpr std::size_t buffer_bytes = 65'600;
// The kernel counts all headers of a frame that it cuts as part of 64 KiB.
constexpr std::uint32_t segmentation_bytes_max = 65'000;

std::string remedy(int error_number, const TapOptions& options) {
  switch (error_number) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return fmt::format("this machine has no {0}: load it with `modprobe tun`, or give the "
                         "container the device (--device {0})", control_path);
    case EPERM:
    case EACCES:
      return fmt::format("it takes CAP_NET_ADMIN to make one, or root to make it beforehand: `ip "
                         "tuntap add dev {} mode tap{} user {}`", options.name,
                         options.queues > 1 ? " multi_queue" : "", getuid());
    case EBUSY: return "another process has it";
    case EINVAL: return "an interface of this name is there and is no tap";
    default: return std::strerror(error_number);
  }
}

// 0 or an errno. EINVAL also when the interface is there and does not have `several` queues, or
// does.
int attach(int fd, const std::string& name, bool several) {
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (several) request.ifr_flags |= IFF_MULTI_QUEUE;
  if (::ioctl(fd, TUNSETIFF, &request) != 0) return errno;
  // One that another program used before may have a longer one.
  int header_bytes = sizeof(VirtioHeader);
  if (::ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) != 0) return errno;
  // What the kernel sends us needs no checksum, as nothing is on the way that could spoil it, and
  // need not be cut into segments: a long frame is one read, and one piece for the stack.
  constexpr unsigned offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (::ioctl(fd, TUNSETOFFLOAD, offloads) != 0) return errno;
  return 0;
}

// What a device is made of. 0 or an errno.
struct Queue {
  int fd = -1;
  int claim = -1;

  int open(const TapOptions& options, bool several) {
    int error_number = 0;
    if (several && options.queue == 0) claim = claim_interface(options.name, error_number);
    if (error_number == 0) fd = ::open(control_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (error_number == 0) error_number = fd < 0 ? errno : attach(fd, options.name, several);
    if (error_number != 0) close();
    return error_number;
  }
  void close() {
    for (int* one : {&fd, &claim}) {
      if (*one >= 0) ::close(*one);
      *one = -1;
    }
  }
};

// Of one for which there is no attaching as one of several: is it a tap with one queue?
bool has_one_queue(const TapOptions& options) {
  Queue queue;
  const int error_number = queue.open(options, false);
  queue.close();
  return error_number != EINVAL;
}

}  // namespace

Result<std::unique_ptr<TapDevice>> TapDevice::create(Ring& ring, const TapOptions& options,
                                                     std::string& why) {
  TR_ASSERT(options.queue < options.queues);
  if (options.name.empty() || options.name.size() >= IFNAMSIZ) {
    why = fmt::format("tap device \"{}\": a name has 1 to {} characters", options.name,
                      IFNAMSIZ - 1);
    return fail(Errc::invalid_argument);
  }
  Queue queue;
  const bool several = options.queues > 1;
  int error_number = queue.open(options, several);
  if (error_number == EINVAL && several && has_one_queue(options)) {
    why = fmt::format("tap device {0} has one queue: have it made at the start, or make it with "
                      "`ip tuntap add dev {0} mode tap multi_queue`", options.name);
    return fail(Errc::unsupported);
  }
  // One of several queues serves as well as an only one.
  if (error_number == EINVAL && !several) error_number = queue.open(options, true);
  KernelInterface interface;
  if (error_number == 0) error_number = read_kernel_interface(options.name, interface);
  if (error_number != 0) {
    queue.close();
    why = fmt::format("tap device {}: {}", options.name, remedy(error_number, options));
    return fail(Errc::io, static_cast<std::uint16_t>(error_number));
  }
  return std::unique_ptr<TapDevice>(
      new TapDevice(ring, queue.fd, queue.claim, interface.mtu, options));
}

TapDevice::TapDevice(Ring& ring, int fd, int claim, std::uint16_t mtu, const TapOptions& options)
    : ring_(ring), fd_(fd), claim_(claim), watched_(options.queue == 0 ? options.name : ""),
      offers_{.mtu = mtu, .checksums = true, .segmentation_bytes_max = segmentation_bytes_max,
              .frames_max = options.frames_max},
      memory_(std::make_unique_for_overwrite<std::byte[]>(buffer_bytes * offers_.frames_max)) {
  free_.reserve(offers_.frames_max);
  for (std::uint32_t i = offers_.frames_max; i > 0; --i) free_.push_back(i - 1);
  finished_.reserve(offers_.frames_max);
}

TapDevice::~TapDevice() {
  ::close(fd_);
  if (claim_ >= 0) ::close(claim_);
}

Link TapDevice::link() const {
  return watched_.empty() ? Link::up : link_of_interface(watched_);
}

std::byte* TapDevice::buffer(std::uint32_t index) { return memory_.get() + index * buffer_bytes; }

// ---- in

std::size_t TapDevice::receive(std::span<RxFrame> frames) {
  take_wakes();
  if (is_listening_ || is_gone_) return 0;
  std::size_t count = 0;
  while (count < frames.size() && !free_.empty()) {
    if (!receive_one(frames[count])) {
      listen();
      return count;
    }
    ++count;
  }
  return count;
}

bool TapDevice::receive_one(RxFrame& frame) {
  VirtioHeader about;
  const std::uint32_t index = free_.back();
  const std::array<iovec, 2> parts = {{{&about, sizeof about}, {buffer(index), buffer_bytes}}};
  const ssize_t size = ::readv(fd_, parts.data(), static_cast<int>(parts.size()));
  // An interface that is down has nothing either; the wait tells when that ends.
  if (size <= static_cast<ssize_t>(sizeof about)) return false;
  free_.pop_back();
  numbers_.received_frames.add();
  numbers_.received_bytes.add(static_cast<std::uint64_t>(size) - sizeof about);
  frame = {.bytes = {buffer(index), static_cast<std::size_t>(size) - sizeof about},
           .token = index,
           .checksum_good = about.is_checksum_good()};
  return true;
}

void TapDevice::release(std::span<const std::uint64_t> tokens) {
  for (const std::uint64_t token : tokens) {
    TR_ASSERT(token < offers_.frames_max);
    free_.push_back(static_cast<std::uint32_t>(token));
  }
  TR_ASSERT(free_.size() <= offers_.frames_max);
}

void TapDevice::listen() {
  if (is_listening_) return;
  is_listening_ = true;
  ring_.request_readable({.user = RingUser::transport}, fd_);
}

void TapDevice::take_wakes() {
  ring_.pump_if_stale(pump_seen_);
  Completion completion;
  while (ring_.take(RingUser::transport, completion)) {
    is_listening_ = false;
    // An interface that was deleted is always ready, and has nothing.
    constexpr std::int32_t gone = POLLERR | POLLNVAL;
    if (completion.result < 0 || (completion.result & gone) != 0) is_gone_ = true;
  }
}

Instant TapDevice::next_deadline() const {
  return !is_listening_ && !is_gone_ && !free_.empty() ? Instant{} : never();
}

// ---- out

std::size_t TapDevice::transmit(std::span<const TxFrame> frames) {
  std::size_t count = 0;
  for (; count < frames.size(); ++count) {
    if (!transmit_one(frames[count])) break;
    if (frames[count].hold != no_hold) finished_.push_back(frames[count].hold);
  }
  return count;
}

// False: the kernel's queue is full. What it will not take for another reason is lost, as frames
// are: the peer's silence has it sent again.
bool TapDevice::transmit_one(const TxFrame& frame) {
  VirtioHeader about = virtio_header_of(frame);
  std::array<iovec, 2 + frame_slices_max> parts;
  int count = 0;
  parts[count++] = {&about, sizeof about};
  parts[count++] = {const_cast<std::byte*>(frame.header.data()), frame.header_bytes};
  for (const Bytes slice : frame.payload()) {
    parts[count++] = {const_cast<std::byte*>(slice.data()), slice.size()};
  }
  if (::writev(fd_, parts.data(), count) >= 0) {
    numbers_.sent_frames.add();
    numbers_.sent_bytes.add(frame.size());
    return true;
  }
  if (errno == EAGAIN || errno == ENOBUFS) return false;
  numbers_.send_errors.add();
  return true;
}

std::size_t TapDevice::take_finished(std::span<std::uint32_t> holds) {
  const std::size_t count = std::min(holds.size(), finished_.size());
  std::copy_n(finished_.begin(), count, holds.begin());
  finished_.erase(finished_.begin(), finished_.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

}  // namespace tailrace::io
