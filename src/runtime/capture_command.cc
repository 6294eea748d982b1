#include "runtime/capture_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <iterator>

#include "runtime/admin.h"

namespace tailrace::runtime {
namespace {

constexpr std::size_t head_bytes_max = 65'536;
constexpr unsigned status_ok = 200;
// Of a block: its type and its length, at both ends.
constexpr std::size_t block_head_bytes = 8;
constexpr std::uint32_t statistics_block = 5;
constexpr std::uint32_t packet_block = 6;
// Where our own statistics have the number of frames that were dropped (io/capture/pcapng.cc).
constexpr std::size_t statistics_bytes_max = 128;
constexpr std::size_t dropped_at = 20 + 3 * 12 + 4;

// The connection, for the signal handler.
volatile sig_atomic_t asking_fd = -1;

// The server hears that nothing more is read, and writes the end of the file.
extern "C" void on_enough(int) { shutdown(asking_fd, SHUT_WR); }

void take_signals(int fd) {
  asking_fd = fd;
  signal(SIGPIPE, SIG_IGN);
  struct sigaction action {};
  action.sa_handler = &on_enough;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

// What came up to the end of the head, and of the body. False: `why` says what else it was.
bool read_head(int fd, const CaptureCommand& command, std::string& body, std::string& why) {
  std::string reply;
  char buffer[4096];
  std::size_t end = std::string::npos;
  ssize_t got = 0;
  while (end == std::string::npos && reply.size() < head_bytes_max &&
         (got = recv(fd, buffer, sizeof buffer, 0)) > 0) {
    reply.append(buffer, static_cast<std::size_t>(got));
    end = reply.find("\r\n\r\n");
  }
  unsigned status = 0;
  if (end == std::string::npos || !admin_status(reply, status)) {
    why = admin_is_none(command.admin);
    return false;
  }
  body = reply.substr(end + 4);
  if (status == status_ok) return true;
  while ((got = recv(fd, buffer, sizeof buffer, 0)) > 0) {
    body.append(buffer, static_cast<std::size_t>(got));
  }
  why = body.substr(0, body.find_last_not_of('\n') + 1);
  return false;
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// Waits for more from the server. False: nobody reads the file any more, which on a silent network
// no write would tell.
bool wait_for_more(int fd, int file) {
  pollfd watched[] = {{.fd = fd, .events = POLLIN, .revents = 0},
                      {.fd = file, .events = 0, .revents = 0}};
  while (poll(watched, std::size(watched), -1) < 0) {
    if (errno != EINTR) return true;   // Then recv() tells.
  }
  return watched[0].revents != 0 || (watched[1].revents & (POLLERR | POLLHUP)) == 0;
}

// False: `why` says what went wrong with the file.
bool copy(int fd, int file, std::string body, CaptureTally& tally, std::string& why) {
  char buffer[65'536];
  while (true) {
    tally.add(body);
    if (!write_all(file, body)) {
      // A program behind a pipe may have had enough.
      if (errno == EPIPE) return true;
      why = fmt::format("cannot write: {}", std::strerror(errno));
      return false;
    }
    if (!wait_for_more(fd, file)) return true;
    const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got <= 0) break;
    body.assign(buffer, static_cast<std::size_t>(got));
  }
  if (tally.is_whole()) return true;
  why = "the broker went away in the middle; the file has what came until then";
  return false;
}

int refuse(const std::string& why) {
  std::cerr << "tailrace: " << why << "\n";
  return 1;
}

}  // namespace

std::string capture_query(const CaptureCommand& command) {
  std::string query = "/capture";
  char mark = '?';
  const auto add = [&](const char* name, std::int64_t number) {
    if (number == 0) return;
    query += fmt::format("{}{}={}", mark, name, number);
    mark = '&';
  };
  add("seconds", command.seconds);
  add("packets", command.packets_max);
  add("snap", command.snap_bytes);
  return query;
}

void CaptureTally::add(std::string_view bytes) {
  while (!bytes.empty()) {
    if (block_.size() < block_head_bytes) {
      const std::size_t count = std::min(bytes.size(), block_head_bytes - block_.size());
      block_.append(bytes.substr(0, count));
      bytes.remove_prefix(count);
      if (block_.size() < block_head_bytes) return;
      std::uint32_t size;
      std::memcpy(&size, block_.data() + 4, sizeof size);
      block_left_ = std::max<std::uint64_t>(size, block_head_bytes + 4) - block_head_bytes;
    }
    const std::size_t count = std::min<std::uint64_t>(bytes.size(), block_left_);
    const std::size_t kept = statistics_bytes_max - std::min(block_.size(), statistics_bytes_max);
    block_.append(bytes.substr(0, std::min(count, kept)));
    bytes.remove_prefix(count);
    block_left_ -= count;
    if (block_left_ == 0) on_block();
  }
}

void CaptureTally::on_block() {
  std::uint32_t type;
  std::memcpy(&type, block_.data(), sizeof type);
  was_statistics_ = type == statistics_block;
  if (type == packet_block) ++packets_;
  if (was_statistics_ && block_.size() >= dropped_at + sizeof(std::uint64_t)) {
    std::uint64_t dropped;
    std::memcpy(&dropped, block_.data() + dropped_at, sizeof dropped);
    dropped_ += dropped;
  }
  block_.clear();
}

int capture_frames(const CaptureCommand& command) {
  std::string text;
  const int fd = admin_open(command.admin, capture_query(command), 0, text);
  if (fd < 0) return refuse(text);
  std::string why;
  // A capture that is refused leaves a file of this name as it was.
  if (!read_head(fd, command, text, why)) return refuse(why);
  const bool is_piped = command.path == "-";
  constexpr int mode = 0600;   // It has what clients write.
  const int file = is_piped ? STDOUT_FILENO
                            : open(command.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                                   mode);
  if (file < 0) return refuse(fmt::format("{}: {}", command.path, std::strerror(errno)));
  take_signals(fd);
  if (command.seconds == 0 && command.packets_max == 0) {
    std::cerr << "tailrace: capturing until Ctrl-C\n";
  }
  CaptureTally tally;
  const bool is_good = copy(fd, file, std::move(text), tally, why);
  asking_fd = -1;
  close(fd);
  if (!is_piped) close(file);
  std::cerr << fmt::format("tailrace: {} packets{}\n", tally.packets(),
                           tally.dropped() == 0
                               ? ""
                               : fmt::format("; {} more came too fast and are not in it: a --snap "
                                             "length leaves more room", tally.dropped()));
  return is_good ? 0 : refuse(why);
}

}  // namespace tailrace::runtime
