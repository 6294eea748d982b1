// A file under flock, to see who else keeps the lock once its descriptor is closed.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace tailrace::test {

class LockedFile {
 public:
  LockedFile() {
    char name[] = "/tmp/tailrace-lock-XXXXXX";
    fd_ = ::mkostemp(name, O_CLOEXEC);
    path_ = name;
    ::flock(fd_, LOCK_EX | LOCK_NB);
  }
  ~LockedFile() {
    close();
    ::unlink(path_.c_str());
  }
  LockedFile(const LockedFile&) = delete;
  LockedFile& operator=(const LockedFile&) = delete;

  int fd() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  bool is_free() const {
    const int other = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    const bool locked = ::flock(other, LOCK_EX | LOCK_NB) == 0;
    ::close(other);
    return locked;
  }
  // The kernel takes a ring down a little after its descriptor was closed.
  bool becomes_free() const {
    for (int i = 0; i < 1000 && !is_free(); ++i) ::usleep(5000);
    return is_free();
  }

 private:
  int fd_ = -1;
  std::string path_;
};

}  // namespace tailrace::test
