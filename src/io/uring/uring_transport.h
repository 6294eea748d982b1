// UringTransport: kernel TCP sockets over io_uring. Multishot accept and receive, received bytes
// in a pool shared by all connections (an idle connection holds none), one gathering send per
// connection in flight.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <vector>

#include "base/ring.h"
#include "base/slab.h"
#include "io/socket_address.h"
#include "io/transport.h"
#include "io/uring/receive_pool.h"
#include "io/uring/ring.h"
#include "io/uring/send_queue.h"

namespace tailrace::io {

struct TransportOptions {
  std::vector<std::string> listen;          // "host:port" or "[host]:port", numeric; port 0: any
  bool reuse_port = false;                  // every core listens on the same port
  std::uint32_t connections_max = 1024;
  std::uint32_t receive_buffer_bytes = 65536;
  std::uint32_t receive_buffer_count = 64;  // at most 32768
  std::uint32_t sends_max = 4096;           // send() calls whose `sent` was not yet polled
  std::uint32_t slices_max = 65536;         // slices of all these; bounds the slices of one send
  int backlog = 1024;
};

class UringTransport final : public Transport, private RingClient {
 public:
  // Binds and listens at once; accepting starts with the first poll(). `ring` outlives the
  // object. Errors: invalid_argument (an address), io with the errno; `why` gets a line for the
  // operator.
  static Result<std::unique_ptr<UringTransport>> create(Ring& ring,
                                                        const TransportOptions& options,
                                                        std::string& why);
  // On the ring's thread, or after the owner thread has ended. Resets every connection.
  ~UringTransport();

  std::size_t poll(Instant now, std::span<StreamEvent> events) override;
  void release(std::uint64_t token) override;
  bool send(ConnId conn, std::span<const Bytes> slices, std::uint64_t token) override;
  void pause(ConnId conn) override;
  void resume(ConnId conn) override;
  void close(ConnId conn) override;
  void abort(ConnId conn) override;
  ConnId connect(std::string_view address) override;
  std::uint64_t refused_count() const override { return refused_count_; }
  Instant next_deadline() const override;

  // The port a listening address got; for port 0.
  std::uint16_t local_port(std::uint32_t listener) const;
  std::size_t connection_count() const { return conns_.size(); }

 private:
  //   connecting --> open --close(), end of stream--> finishing --> draining --> ending --> gone
  //        |           |                                  |            |
  //        +-----------+------- error, abort() -----------+------------+--> ending
  //
  // finishing: accepted sends still go out. draining: we sent our end and read (throwing away)
  // until the peer's, because closing with unread bytes makes the kernel send a reset, which can
  // overtake what we sent; skipped when the peer has ended already. ending: what the kernel
  // still holds is being cancelled. gone: the socket is closed, `closed` waits to be polled.
  enum class State : std::uint8_t { connecting, open, finishing, draining, ending, gone };

  struct Conn {
    int fd = -1;
    State state = State::open;
    bool paused = false;
    bool receiving = false;       // a receive is in the kernel
    bool cancelling = false;      // ... and is being cancelled
    bool starved = false;         // waits for a receive buffer
    bool sending = false;         // a send is in the kernel
    bool connecting = false;      // a connect is in the kernel
    bool dirty = false;           // in dirty_: has bytes to send and no send in the kernel
    bool dropping = false;        // close() or abort() was called: received bytes go nowhere
    bool peer_ended = false;
    bool end_held = false;        // the end of stream came while paused
    std::uint32_t sequence = 0;   // tells a receive from a later one
    std::uint32_t notes_held = 0; // data events withheld while paused
    std::uint32_t sends_unreported = 0;
    BufferList received;          // bytes not yet given out, oldest first
    SendList sends;
    Instant deadline{};           // of finishing and draining
    SocketAddress peer;
    HostText peer_host;           // of one that was accepted
  };
  using ConnHandle = Handle<Conn>;

  struct Listener {
    int fd = -1;
    std::uint16_t port = 0;
    bool accepting = false;
    Instant accept_again_at{};
  };

  // What poll() will hand out. `data` and `end` are looked up in the connection only then, so
  // that pause() and close() still apply to them.
  enum class NoteKind : std::uint8_t { accepted, connected, data, end, sent, closed };
  struct Note {
    NoteKind kind;
    ConnHandle conn;
    std::uint32_t listener = 0;   // of accepted
    std::uint32_t send = 0;       // of sent: its slot
  };

  UringTransport(Ring& ring, const TransportOptions& options);
  // 0 or an errno.
  int open_listener(const std::string& text, std::string& why);
  void before_submit() override;

  void process_completions();
  void on_conn_completion(const Completion& completion);
  void on_accept(std::uint32_t listener, const Completion& completion);
  void on_connect(ConnHandle handle, Conn& conn, std::int32_t result);
  void on_receive(ConnHandle handle, Conn& conn, const Completion& completion);
  void on_receive_ended(ConnHandle handle, Conn& conn, std::int32_t result);
  void on_sent(ConnHandle handle, Conn& conn, std::int32_t result);

  void start_accepts();
  bool wants_receive(const Conn& conn) const;
  void start_receive(ConnHandle handle, Conn& conn);
  void starve(ConnHandle handle, Conn& conn);
  void serve_starved();
  void mark_dirty(ConnHandle handle, Conn& conn);
  void serve_dirty();
  void start_send(ConnHandle handle, Conn& conn);
  void cancel_all_of(int fd);

  void report_finished_sends(ConnHandle handle, Conn& conn);
  void begin_finishing(ConnHandle handle, Conn& conn);
  void after_sends(ConnHandle handle, Conn& conn);
  void begin_ending(ConnHandle handle, Conn& conn);
  void reset(ConnHandle handle, Conn& conn);
  // Whatever the state allows now: to receive again, or to be gone.
  void settle(ConnHandle handle, Conn& conn);
  void drop_held(Conn& conn);
  void check_deadlines();
  void drain_for_destruction();
  // False when the note gives no event.
  bool deliver(const Note& note, StreamEvent& event);
  bool deliver_data(const Note& note, StreamEvent& event);
  bool deliver_sent(const Note& note, StreamEvent& event);
  bool deliver_closed(const Note& note, StreamEvent& event);
  void deliver_end(const Note& note);
  void add_note(Note note);
  void note_sent(ConnHandle handle, std::uint32_t send);

  static ConnHandle handle_of(ConnId conn);
  static ConnId id_of(ConnHandle handle);
  static RequestName receive_name(ConnHandle handle, const Conn& conn);

  Ring& ring_;
  const TransportOptions options_;
  std::vector<Listener> listeners_;
  Slab<Conn> conns_;
  ReceivePool receive_pool_;
  SendQueue send_queue_;
  tailrace::Ring<Note> notes_;
  tailrace::Ring<ConnHandle> dirty_;
  tailrace::Ring<ConnHandle> starved_;
  std::uint32_t closing_count_ = 0;   // connections with a deadline
  Instant deadlines_checked_at_{};
  bool stopping_ = false;
  Instant now_{};
  std::uint64_t pump_seen_ = 0;
  std::uint64_t refused_count_ = 0;
};

}  // namespace tailrace::io
