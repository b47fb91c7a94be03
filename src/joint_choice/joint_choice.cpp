// Copyright 2026 dynamic_dnn_ros contributors
// SPDX-License-Identifier: Apache-2.0
//
// The search for the best joint candidate, which management/joint_choice.py describes.

#include <algorithm>
#include <new>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "bounds.hpp"
#include "choosing.hpp"
#include "task.hpp"

namespace joint_choice
{

// Joint candidates that are looked at first where somebody yields everywhere.
constexpr size_t YIELDING = 224;

// Return the candidate that is lexicographically best, limits with their margin.
Best best_of(const Task & task, const Candidates & found)
{
  const size_t count = task.size();
  Best best{
    0, 0.0, std::vector<bool>(count), std::vector<double>(count), std::vector<double>(count), 0.0};
  std::vector<size_t> kept(found.size());
  std::iota(kept.begin(), kept.end(), 0);
  best.excess = narrow(kept, [&](size_t c) { return found.excess[c]; }, 0.0, WITHIN);
  for (size_t k = 0; k < count; ++k) {
    const size_t a = task.order[k];
    std::vector<size_t> meeting;
    for (const size_t c : kept) {
      if (found.margined[c * count + a] <= 0.0) {
        meeting.push_back(c);
      }
    }
    best.met[a] = !meeting.empty();
    if (best.met[a]) {
      kept = std::move(meeting);
    }
  }
  for (size_t k = 0; k < count; ++k) {
    const size_t a = task.order[k];
    if (!best.met[a]) {
      best.margined[a] =
        narrow(kept, [&](size_t c) { return found.margined[c * count + a]; }, WITHIN);
    }
  }
  for (size_t k = 0; k < count; ++k) {
    const size_t a = task.order[k];
    const Objective objective = task.applications[a].objective;
    if (objective != Objective::MINIMUM_ENERGY) {
      best.values[a] =
        narrow(kept, [&](size_t c) { return found.values[c * count + a]; }, within(objective));
    }
  }
  const auto key = [&](size_t c) {
    return std::make_tuple(found.power[c], found.strategy[c], task.settings[found.position[c]]);
  };
  best.candidate = *std::min_element(
    kept.begin(), kept.end(), [&](size_t one, size_t other) { return key(one) < key(other); });
  best.power = found.power[best.candidate];
  return best;
}

// Search; return the candidates that were looked at, and the best of them.
std::pair<Candidates, Best> search(const Task & task)
{
  Bounds bounds(task);
  Choosing choosing(task);
  Candidates found;
  const auto yielding = yielding_attitudes(task.size(), task.power_cap < INF);
  const std::vector<Attitude> own(task.size(), Attitude::OBJECTIVE);
  const size_t strategies = yielding.size();
  const size_t effort = task.effort;
  const auto yield = [&] {
    for (size_t strategy = 0; strategy < strategies; ++strategy) {
      choosing.add(yielding[strategy], strategy, found);
    }
  };
  const auto costs = [&] {
    const double * margined = &found.margined[found.margined.size() - task.size()];
    return found.excess.back() > WITHIN ||
           std::any_of(margined, margined + task.size(), [](double each) { return each > 0.0; });
  };
  size_t size = task.first_batch;
  // Where not all targets can be met, each setting is looked at with every way to yield.
  Positions at =
    bounds.most_promising(size, std::max<size_t>(std::min(size, YIELDING / (strategies + 1)), 1));
  for (size_t p = 0; p < static_cast<size_t>(task.positions); ++p) {
    if (task.settings[p] == task.in_force && std::find(at.begin(), at.end(), p) == at.end()) {
      at.push_back(p);
    }
  }
  std::vector<char> owing(task.positions, false);
  while (true) {
    for (const size_t p : at) {
      // Where not all targets can be met, somebody yields everywhere.
      const bool yields = owing[p] || !bounds.all_may_be_met();
      const size_t more = (owing[p] ? 0 : 1) + (yields ? strategies : 0);
      if (found.size() > 0 && found.size() + more > effort) {
        break;
      }
      choosing.at(p);
      if (!owing[p]) {
        choosing.add(own, strategies, found);
      }
      if (yields) {
        yield();
      }
      if (!yields && strategies > 0 && costs()) {
        owing[p] = true;
      } else {
        bounds.done(p);
      }
    }
    const Best best = best_of(task, found);
    size *= 4;
    // No more than will be looked at: which ones, the bounds say.
    const size_t room = effort - std::min(effort, found.size());
    if (room <= strategies) {
      return {std::move(found), best};
    }
    at =
      bounds.after(best, bounds.all_may_be_met() ? std::min(size, room) : room / (strategies + 1));
    if (at.empty()) {
      return {std::move(found), best};
    }
  }
}

}  // namespace joint_choice

// `_Found` of joint_choice.py has the same fields in the same order; arrays are of applications.
struct Found
{
  int64_t setting;
  double excess;
  double power;
  int64_t * options;
  double * margined;
};

// By these a caller knows whether this was built for its version of the structures, in bytes.
extern "C" const int64_t dynamic_dnn_sizes[] = {
  sizeof(joint_choice::Application), sizeof(joint_choice::Task), sizeof(Found)};

// Return whether there was enough memory.
extern "C" bool dynamic_dnn_choose(const joint_choice::Task * task, Found * answer)
{
  try {
    const auto [found, best] = joint_choice::search(*task);
    const size_t count = task->size(), begin = best.candidate * count;
    answer->setting = task->settings[found.position[best.candidate]];
    answer->excess = found.excess[best.candidate];
    answer->power = best.power;
    std::copy_n(&found.options[begin], count, answer->options);
    std::copy_n(&found.margined[begin], count, answer->margined);
    return true;
  } catch (const std::bad_alloc &) {
    return false;
  }
}
