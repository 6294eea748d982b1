// The program: arguments -> profile -> Appliance.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "runtime/admin.h"
#include "runtime/capture_command.h"
#include "runtime/capture_stream.h"
#include "runtime/dump_command.h"
#include "runtime/log_sink.h"
#include "tailrace/appliance.h"
#include "tailrace/version.h"

namespace {

constexpr const char* description =
    "A log broker for Kafka clients. An acknowledged record is on disk.\n"
    "Start one:   tailrace serve --data ./data --listen 127.0.0.1:9092\n"
    "Look inside: tailrace status, net     (a running broker)\n"
    "             tailrace net capture out.pcapng\n"
    "             tailrace dump ./data     (the files of a stopped one)";

int serve(const tailrace::Config& config) {
  tailrace::runtime::install_log_sink();
  // Blocked before any thread starts, so that only the wait below takes them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  tailrace::Config stoppable = config;
  stoppable.should_stop = [] {
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1);
  };
  std::string why;
  const auto appliance = tailrace::Appliance::open(stoppable, why);
  if (appliance == nullptr) tailrace::runtime::tell_all_held_lines();
  if (appliance == nullptr && why.empty()) {
    std::cerr << "tailrace: stopped before it was ready; the next start begins again\n";
    return 0;
  }
  if (appliance == nullptr) {
    std::cerr << "tailrace: " << why << "\n";
    return 1;
  }
  std::cerr << appliance->banner();
  appliance->start();
  for (const std::string& address : appliance->addresses()) {
    std::cerr << "tailrace: listening on " << address << "\n";
  }
  std::cerr << "tailrace: ready\n";

  // Looks in on the cores once a second, so that a failed one ends the program with its message.
  const timespec second{.tv_sec = 1, .tv_nsec = 0};
  int signal_number = -1;
  while (signal_number < 0 && !appliance->failed()) {
    signal_number = sigtimedwait(&signals, nullptr, &second);
    tailrace::runtime::tell_held_lines();
  }
  std::cerr << "tailrace: stopping\n";
  const bool is_stopped = appliance->stop();
  tailrace::runtime::tell_all_held_lines();
  return is_stopped ? 0 : 1;
}

// Prints what the admin server of a running broker says at `path`.
int show(const std::string& address, const std::string& path) {
  std::string text;
  const bool answered = tailrace::runtime::admin_get(address, path, text);
  (answered ? std::cout : std::cerr) << (answered ? "" : "tailrace: ") << text << "\n";
  return answered ? 0 : 1;
}

// The frames of a broker that does its own TCP/IP, into a file.
struct Capture {
  CLI::App* command = nullptr;
  tailrace::runtime::CaptureCommand request;
};

std::unique_ptr<Capture> add_capture(CLI::App& net) {
  auto capture = std::make_unique<Capture>();
  tailrace::runtime::CaptureCommand& request = capture->request;
  CLI::App* command = net.add_subcommand(
      "capture", "Write the frames of a broker that does its own TCP/IP to a file (pcapng) that "
                 "Wireshark reads, until Ctrl-C");
  command->add_option("file", request.path, "The file; - for standard output, as in\n"
                      "tailrace net capture - | tshark -i -");
  command->add_option("--seconds", request.seconds, "... or for so long");
  command->add_option("--packets", request.packets_max, "... or until there are so many");
  command->add_option("--snap", request.snap_bytes,
                      fmt::format("Keep only so many bytes of each, {} to {} (default: all)",
                                  tailrace::runtime::snap_bytes_least,
                                  tailrace::runtime::snap_bytes_most));
  command->add_option("--admin", request.admin,
                      "HOST:PORT of its admin server (default 127.0.0.1:9644)");
  capture->command = command;
  return capture;
}

int show_network(const Capture& capture, const std::string& admin_of_net) {
  if (!capture.command->parsed()) return show(admin_of_net, "/net");
  tailrace::runtime::CaptureCommand request = capture.request;
  if (request.admin.empty()) request.admin = admin_of_net;
  if (!request.path.empty()) return tailrace::runtime::capture_frames(request);
  std::cerr << "tailrace: net capture: where are the frames to go? Name a file, or - for standard "
               "output: tailrace net capture out.pcapng\n";
  return 1;
}

}  // namespace

// CLI11 tells of a missing command or option first, and not of the wrong word that was given
// instead: that is looked for here. Empty: nothing is wrong so far.
std::string wrong_option(const CLI::App& command, const std::string& name, int argc,
                         char** argv) {
  for (int i = 0; i < argc; ++i) {
    const std::string text(argv[i]);
    const auto inner = command.get_subcommands(
        [&](const CLI::App* one) { return one->get_name() == text; });
    if (!inner.empty()) {
      return wrong_option(*inner.front(), name + " " + text, argc - i - 1, argv + i + 1);
    }
    if (!text.starts_with("-") || text == "-" || text == "--help" || text == "-h") continue;
    const std::string option = text.substr(0, text.find('='));
    if (command.get_option_no_throw(option) != nullptr) continue;
    return fmt::format("{}: unknown option {}; tailrace {} --help lists what there is", name,
                       option, name);
  }
  return {};
}

std::string wrong_word(const CLI::App& app, int argc, char** argv) {
  if (argc < 2) return {};
  const std::string_view word = argv[1];
  if (word.starts_with("-")) return {};
  std::string commands;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() != word) {
      commands += (commands.empty() ? "" : ", ") + command->get_name();
      continue;
    }
    return wrong_option(*command, command->get_name(), argc - 2, argv + 2);
  }
  return fmt::format("no command \"{}\"; there are: {}; {} --help says more", word, commands,
                     app.get_name());
}

// What must be named and was not. CLI11's own words for it ("--data is required") help nobody.
std::string missing_word(const CLI::App& serve, const tailrace::Config& config,
                         const CLI::App& dump, const tailrace::runtime::DumpRequest& request) {
  if (serve.parsed() && config.data_directory.empty()) {
    return "serve: where is the data to be? Name a directory, which is made and formatted when it "
           "is not there or empty: tailrace serve --data ./data";
  }
  if (dump.parsed() && request.path.empty()) {
    return "dump: what is to be shown? Name a data directory or one file in it: "
           "tailrace dump ./data";
  }
  return {};
}

int main(int argc, char** argv) {
  CLI::App app(description, "tailrace");
  app.set_version_flag("--version", std::string("tailrace ") + tailrace::version);
  app.require_subcommand(1);

  tailrace::Config config{.listen = {"127.0.0.1:9092"}, .admin = "127.0.0.1:9644"};
  CLI::App* serve_command = app.add_subcommand("serve", "Run a broker until SIGINT or SIGTERM");
  serve_command->add_option("--profile", config.profile_path,
                            "Hardware profile, a TOML file (default: the laptop profile)");
  serve_command->add_option("--data", config.data_directory,
                            "Data directory, formatted when empty (must be named)");
  serve_command->add_option("--listen", config.listen,
                            "HOST:PORT for clients; may be given again "
                            "(default 127.0.0.1:9092)");
  serve_command->add_option("--advertise", config.advertise,
                            "HOST:PORT that clients are told, one per --listen");
  serve_command->add_option("--admin", config.admin,
                            "HOST:PORT of metrics and status, \"\" for none "
                            "(default 127.0.0.1:9644)");

  std::string admin_address = "127.0.0.1:9644";
  CLI::App* status_command = app.add_subcommand("status", "Print the counters of a broker");
  status_command->add_option("--admin", admin_address,
                             "HOST:PORT of its admin server (default 127.0.0.1:9644)");

  CLI::App* net_command = app.add_subcommand(
      "net", "Print the connections of a broker that does its own TCP/IP");
  net_command->add_option("--admin", admin_address,
                          "HOST:PORT of its admin server (default 127.0.0.1:9644)");
  const auto capture = add_capture(*net_command);

  tailrace::runtime::DumpRequest dump;
  CLI::App* dump_command = app.add_subcommand(
      "dump", "Print the files of a data directory and what is wrong with damaged ones");
  dump_command->add_option("path", dump.path, "A data directory or one file in it");
  dump_command->add_flag("--records", dump.with_records, "Also each record batch of a segment");

  // What people try first.
  if (argc < 2) {
    std::cerr << app.help();
    return 1;
  }
  const std::string_view first = argc == 2 ? argv[1] : "";
  if (first == "help") {
    std::cout << app.help();
    return 0;
  }
  if (first == "version") {
    std::cout << app.version() << "\n";
    return 0;
  }
  if (const std::string wrong = wrong_word(app, argc, argv); !wrong.empty()) {
    std::cerr << "tailrace: " << wrong << "\n";
    return 1;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;  // --help and --version are such errors, too.
  }
  const std::string missing = missing_word(*serve_command, config, *dump_command, dump);
  if (!missing.empty()) {
    std::cerr << "tailrace: " << missing << "\n";
    return 1;
  }
  if (serve_command->parsed()) return serve(config);
  if (status_command->parsed()) return show(admin_address, "/status");
  if (net_command->parsed()) return show_network(*capture, admin_address);
  return tailrace::runtime::dump_files(dump) ? 0 : 1;
}
