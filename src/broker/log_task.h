// Log tasks of the control thread (bus/log_task.h): carried out by the same owner of partitions as
// the tasks of requests, with their state kept inside the lent object.
#pragma once

#include "base/time.h"
#include "broker/partition_task.h"
#include "bus/log_task.h"

namespace tailrace::broker {

struct Core;

void on_log_task(Core& core, bus::LogTask& asked, Now now);
// The owner has finished a task that on_log_task began.
void on_log_task_done(Core& core, Task& task, Now now);

}  // namespace tailrace::broker
