// A doubly linked list through the items themselves: constant-time removal from the middle and no
// memory of its own. An item lies in at most one list per link.
#pragma once

#include "base/assert.h"

namespace tailrace::broker {

template <class T>
struct Link {
  T* before = nullptr;
  T* after = nullptr;
  bool linked = false;
};

template <class T, Link<T> T::*link>
class List {
 public:
  bool empty() const { return front_ == nullptr; }
  T* front() const { return front_; }
  T* back() const { return back_; }
  static T* next(const T& item) { return (item.*link).after; }
  static bool contains(const T& item) { return (item.*link).linked; }

  void push_back(T& item) {
    Link<T>& own = item.*link;
    TR_ASSERT(!own.linked);
    own = {back_, nullptr, true};
    (back_ == nullptr ? front_ : (back_->*link).after) = &item;
    back_ = &item;
  }
  void push_front(T& item) {
    Link<T>& own = item.*link;
    TR_ASSERT(!own.linked);
    own = {nullptr, front_, true};
    (front_ == nullptr ? back_ : (front_->*link).before) = &item;
    front_ = &item;
  }
  void remove(T& item) {
    Link<T>& own = item.*link;
    TR_ASSERT(own.linked);
    (own.before == nullptr ? front_ : (own.before->*link).after) = own.after;
    (own.after == nullptr ? back_ : (own.after->*link).before) = own.before;
    own = {};
  }
  T* pop_front() {
    T* item = front_;
    if (item != nullptr) remove(*item);
    return item;
  }

 private:
  T* front_ = nullptr;
  T* back_ = nullptr;
};

}  // namespace tailrace::broker
