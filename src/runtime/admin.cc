#include "runtime/admin.h"

#include <fmt/format.h>
#include <microhttpd.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstring>

namespace tailrace::runtime {
namespace {

constexpr int request_seconds_max = 5;
constexpr unsigned connections_max = 16;
constexpr std::string_view server_line = "Server: tailrace\r\n";

MHD_Result respond(MHD_Connection* connection, unsigned status, const std::string& text) {
  MHD_Response* response = MHD_create_response_from_buffer(
      text.size(), const_cast<char*>(text.data()), MHD_RESPMEM_MUST_COPY);
  MHD_add_response_header(response, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  MHD_add_response_header(response, "Server", "tailrace");
  const MHD_Result result = MHD_queue_response(connection, status, response);
  MHD_destroy_response(response);
  return result;
}

MHD_Result answer(void* self, MHD_Connection* connection, const char* url, const char* method,
                  const char*, const char*, size_t*, void**) {
  const auto& pages = static_cast<Admin*>(self)->pages();
  if (std::strcmp(method, MHD_HTTP_METHOD_GET) != 0) {
    return respond(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET is answered here\n");
  }
  if (std::strcmp(url, "/metrics") == 0) {
    return respond(connection, MHD_HTTP_OK, pages.metrics());
  }
  if (std::strcmp(url, "/status") == 0) return respond(connection, MHD_HTTP_OK, pages.status());
  if (std::strcmp(url, "/net") == 0) return respond(connection, MHD_HTTP_OK, pages.net());
  return respond(connection, MHD_HTTP_NOT_FOUND, "try /metrics, /status or /net\n");
}

bool is_ours(std::string_view reply) {
  const std::string_view head = reply.substr(0, reply.find("\r\n\r\n"));
  return head.starts_with("HTTP/1.") && head.find(server_line) != std::string_view::npos;
}

}  // namespace

struct Admin::Daemon {
  MHD_Daemon* handle = nullptr;
  ~Daemon() {
    if (handle != nullptr) MHD_stop_daemon(handle);
  }
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
  admin->daemon_ = std::make_unique<Daemon>();
  unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL;
  if (socket_address.ss_family == AF_INET6) flags |= MHD_USE_IPv6;
  admin->daemon_->handle = MHD_start_daemon(
      flags, address.port, nullptr, nullptr, &answer, admin.get(), MHD_OPTION_SOCK_ADDR,
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

bool admin_get(const std::string& address, const std::string& path, std::string& text) {
  HostPort host_port;
  if (!split_address(address, host_port, text)) return false;
  if (!resolve_host(host_port, text)) return false;
  sockaddr_storage socket_address{};
  socklen_t size = 0;
  to_socket_address(host_port, socket_address, size);
  const int fd = socket(socket_address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{.tv_sec = request_seconds_max, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const std::string request = fmt::format("GET {} HTTP/1.0\r\nHost: {}\r\n\r\n", path, address);
  if (connect(fd, reinterpret_cast<sockaddr*>(&socket_address), size) != 0) {
    text = fmt::format("nothing answers at {}: {}; --admin names another address", address,
                       std::strerror(errno));
    close(fd);
    return false;
  }
  std::string reply;
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
      static_cast<ssize_t>(request.size())) {
    char buffer[4096];
    for (ssize_t got; (got = recv(fd, buffer, sizeof buffer, 0)) > 0;) {
      reply.append(buffer, static_cast<std::size_t>(got));
    }
  }
  close(fd);
  const std::size_t body = reply.find("\r\n\r\n");
  if (!is_ours(reply) || body == std::string::npos) {
    text = fmt::format("what listens at {} is not the admin server of a tailrace; --admin names "
                       "another address (a broker's banner tells its own)", address);
    return false;
  }
  text = reply.substr(body + 4);
  return true;
}

}  // namespace tailrace::runtime
