#include "runtime/admin.h"

#include <fmt/format.h>
#include <microhttpd.h>
#include <poll.h>
#include <sys/time.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace tailrace::runtime {
namespace {

constexpr int request_seconds_max = 5;
constexpr unsigned connections_max = 16;
// A reader of a stream who takes nothing for so long is gone.
constexpr unsigned stream_seconds_max = 60;
constexpr std::chrono::milliseconds stream_look_interval(10);
constexpr std::chrono::seconds stream_end_max(1);   // when the server ends
constexpr std::size_t stream_block_bytes = 65'536;
constexpr std::string_view server_line = "Server: tailrace\r\n";

constexpr const char* text_type = "text/plain; version=0.0.4; charset=utf-8";

MHD_Result queue(MHD_Connection* connection, unsigned status, const char* type,
                 MHD_Response* response) {
  MHD_add_response_header(response, "Content-Type", type);
  MHD_add_response_header(response, "Server", "tailrace");
  const MHD_Result result = MHD_queue_response(connection, status, response);
  MHD_destroy_response(response);
  return result;
}

MHD_Result respond(MHD_Connection* connection, unsigned status, const std::string& text) {
  return queue(connection, status, text_type,
               MHD_create_response_from_buffer(text.size(), const_cast<char*>(text.data()),
                                               MHD_RESPMEM_MUST_COPY));
}

// Connections whose stream had nothing to say: they are asked again after a while.
class Waiting {
 public:
  Waiting() : thread_([this] { run(); }) {}
  ~Waiting() { TR_ASSERT(is_over_); }

  void begin() {
    const std::lock_guard lock(mutex_);
    ++streams_;
  }
  void end() {
    const std::lock_guard lock(mutex_);
    --streams_;
    changed_.notify_all();
  }
  bool is_ending() {
    const std::lock_guard lock(mutex_);
    return is_ending_;
  }
  void add(MHD_Connection* connection) {
    const std::lock_guard lock(mutex_);
    if (is_over_) return;
    MHD_suspend_connection(connection);
    suspended_.push_back(connection);
    changed_.notify_all();
  }
  // What is being read is to have an end, not a break. Afterwards no connection is suspended.
  void stop() {
    {
      std::unique_lock lock(mutex_);
      is_ending_ = true;
      changed_.notify_all();
      changed_.wait_for(lock, stream_end_max, [this] { return streams_ == 0; });
      is_over_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!is_over_) {
      changed_.wait(lock, [this] { return is_over_ || !suspended_.empty(); });
      changed_.wait_for(lock, stream_look_interval, [this] { return is_over_; });
      for (MHD_Connection* connection : std::exchange(suspended_, {})) {
        MHD_resume_connection(connection);
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<MHD_Connection*> suspended_;
  std::size_t streams_ = 0;
  bool is_ending_ = false;
  bool is_over_ = false;
  std::thread thread_;   // last: it uses the others
};

struct Server {
  const Admin::Pages* pages;
  Waiting waiting;
};

// A page that is being read.
struct OpenStream {
  OpenStream(std::unique_ptr<AdminStream> page, Waiting& where, MHD_Connection* to)
      : stream(std::move(page)), waiting(where), connection(to),
        fd(MHD_get_connection_info(to, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd) {
    waiting.begin();
  }
  ~OpenStream() {
    stream.reset();
    waiting.end();
  }
  // Gone, or it has said with the end of its own stream that it wants no more.
  bool reader_has_ended() const {
    pollfd look{.fd = fd, .events = POLLRDHUP, .revents = 0};
    return poll(&look, 1, 0) > 0;
  }

  std::unique_ptr<AdminStream> stream;
  Waiting& waiting;
  MHD_Connection* const connection;
  const int fd;
};

ssize_t read_stream(void* self, std::uint64_t, char* to, std::size_t size) {
  auto& open = *static_cast<OpenStream*>(self);
  if (open.waiting.is_ending() || open.reader_has_ended()) open.stream->finish();
  const std::size_t count = open.stream->read({to, size});
  if (count > 0) return static_cast<ssize_t>(count);
  if (open.stream->has_ended()) return MHD_CONTENT_READER_END_OF_STREAM;
  open.waiting.add(open.connection);
  return 0;
}

MHD_Result respond_with_capture(Server& server, MHD_Connection* connection) {
  const AdminQuery query = [connection](const char* name) {
    return MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
  };
  AdminRefusal refusal;
  auto stream = server.pages->capture(query, refusal);
  if (stream == nullptr) return respond(connection, refusal.status, refusal.text);
  MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, stream_seconds_max);
  auto open = std::make_unique<OpenStream>(std::move(stream), server.waiting, connection);
  const auto free = [](void* self) { delete static_cast<OpenStream*>(self); };
  return queue(connection, MHD_HTTP_OK, "application/x-pcapng",
               MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, stream_block_bytes,
                                                 &read_stream, open.release(), free));
}

MHD_Result answer(void* self, MHD_Connection* connection, const char* url, const char* method,
                  const char*, const char*, size_t*, void**) {
  auto& server = *static_cast<Server*>(self);
  const Admin::Pages& pages = *server.pages;
  if (std::strcmp(method, MHD_HTTP_METHOD_GET) != 0) {
    return respond(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET is answered here\n");
  }
  if (std::strcmp(url, "/metrics") == 0) {
    return respond(connection, MHD_HTTP_OK, pages.metrics());
  }
  if (std::strcmp(url, "/status") == 0) return respond(connection, MHD_HTTP_OK, pages.status());
  if (std::strcmp(url, "/net") == 0) return respond(connection, MHD_HTTP_OK, pages.net());
  if (std::strcmp(url, "/capture") == 0) return respond_with_capture(server, connection);
  return respond(connection, MHD_HTTP_NOT_FOUND, "try /metrics, /status, /net or /capture\n");
}

}  // namespace

struct Admin::Daemon {
  explicit Daemon(const Pages& pages) : server{.pages = &pages, .waiting = {}} {}
  ~Daemon() {
    server.waiting.stop();
    if (handle != nullptr) MHD_stop_daemon(handle);
  }
  Server server;
  MHD_Daemon* handle = nullptr;
};

std::unique_ptr<Admin> Admin::listen(const HostPort& address, Pages pages, std::string& why) {
  sockaddr_storage socket_address{};
  socklen_t size = 0;
  if (!to_socket_address(address, socket_address, size)) {
    why = fmt::format("admin address {}: the host is not numeric", join_address(address));
    return nullptr;
  }
  std::unique_ptr<Admin> admin(new Admin);
  admin->pages_ = std::move(pages);
  admin->daemon_ = std::make_unique<Daemon>(admin->pages_);
  unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
  if (socket_address.ss_family == AF_INET6) flags |= MHD_USE_IPv6;
  admin->daemon_->handle = MHD_start_daemon(
      flags, address.port, nullptr, nullptr, &answer, &admin->daemon_->server, MHD_OPTION_SOCK_ADDR,
      reinterpret_cast<sockaddr*>(&socket_address), MHD_OPTION_CONNECTION_LIMIT, connections_max,
      MHD_OPTION_CONNECTION_TIMEOUT, unsigned{request_seconds_max}, MHD_OPTION_END);
  if (admin->daemon_->handle == nullptr) {
    why = fmt::format("cannot listen on admin address {}: {}", join_address(address),
                      std::strerror(errno));
    return nullptr;
  }
  return admin;
}

Admin::~Admin() = default;

std::uint16_t Admin::port() const {
  return MHD_get_daemon_info(daemon_->handle, MHD_DAEMON_INFO_BIND_PORT)->port;
}

int admin_open(const std::string& address, const std::string& path, int patience_seconds,
               std::string& why) {
  HostPort host_port;
  if (!split_address(address, host_port, why)) return -1;
  if (!resolve_host(host_port, why)) return -1;
  sockaddr_storage socket_address{};
  socklen_t size = 0;
  to_socket_address(host_port, socket_address, size);
  const int fd = socket(socket_address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{.tv_sec = patience_seconds, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect(fd, reinterpret_cast<sockaddr*>(&socket_address), size) != 0) {
    why = fmt::format("nothing answers at {}: {}; --admin names another address", address,
                      std::strerror(errno));
    close(fd);
    return -1;
  }
  const std::string request = fmt::format("GET {} HTTP/1.0\r\nHost: {}\r\n\r\n", path, address);
  // When it cannot be sent, no answer comes, either.
  (void)send(fd, request.data(), request.size(), MSG_NOSIGNAL);
  return fd;
}

bool admin_status(std::string_view reply, unsigned& status) {
  const std::size_t end = reply.find("\r\n\r\n");
  const std::string_view head = reply.substr(0, end == std::string_view::npos ? end : end + 2);
  const std::size_t space = head.find(' ');
  if (!head.starts_with("HTTP/1.") || head.find(server_line) == std::string_view::npos ||
      space == std::string_view::npos) {
    return false;
  }
  const std::string_view number = head.substr(space + 1, 3);
  return std::from_chars(number.data(), number.data() + number.size(), status).ec == std::errc{};
}

std::string admin_is_none(const std::string& address) {
  return fmt::format("what listens at {} is not the admin server of a tailrace; --admin names "
                     "another address (a broker's banner tells its own)", address);
}

bool admin_get(const std::string& address, const std::string& path, std::string& text) {
  const int fd = admin_open(address, path, request_seconds_max, text);
  if (fd < 0) return false;
  std::string reply;
  char buffer[4096];
  for (ssize_t got; (got = recv(fd, buffer, sizeof buffer, 0)) > 0;) {
    reply.append(buffer, static_cast<std::size_t>(got));
  }
  close(fd);
  const std::size_t body = reply.find("\r\n\r\n");
  unsigned status = 0;
  if (!admin_status(reply, status) || body == std::string::npos) {
    text = admin_is_none(address);
    return false;
  }
  text = reply.substr(body + 4);
  return true;
}

}  // namespace tailrace::runtime
