// Copyright 2026 dynamic_dnn_ros contributors
// SPDX-License-Identifier: Apache-2.0
//
// Which settings can still matter to a lexicographic choice, by lower bounds.
//
// Every criterion is bounded from below at every setting, whatever the applications choose there: each application
// takes its least figures over the options that come into question, the others keep a processor that it cannot avoid
// busy for the least that they can, and a frame waits no longer than behind one of the same length. A setting that
// has not been looked at is left out when the walk through the criteria shows that it would be dropped at one of them,
// and would not have moved the best value of any before that. So leaving it out cannot change the choice.

#ifndef JOINT_CHOICE__BOUNDS_HPP_
#define JOINT_CHOICE__BOUNDS_HPP_

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "task.hpp"

namespace joint_choice
{

// Share by which rounding may move a bound; a setting that is this close is looked at.
constexpr double SLACK = 1e-9;
// One in so many of the first settings is taken for being fast, the others for being cheap.
constexpr size_t FASTEST = 4;

using Positions = std::vector<size_t>;
// Least accuracy of the options of the applications that are to meet their targets.
using Required = std::vector<std::optional<double>>;

// The best candidate so far, and the best value at each criterion on the way to it; by application.
struct Best
{
  size_t candidate;
  double excess;
  std::vector<bool> met;
  std::vector<double> margined;
  std::vector<double> values;
  double power;
};

// Keep the positions that fulfil a condition.
template <typename Condition>
Positions those(Positions positions, Condition condition)
{
  positions.erase(
    std::remove_if(positions.begin(), positions.end(), [&](size_t p) { return !condition(p); }),
    positions.end());
  return positions;
}

// The positions of the smallest values, ascending.
template <typename Value>
Positions first(const Positions & positions, Value value, size_t size)
{
  if (positions.size() <= size) {
    return positions;
  }
  std::vector<std::pair<double, size_t>> keys;
  keys.reserve(positions.size());
  for (const size_t p : positions) {
    const double key = value(p);
    keys.emplace_back(std::isnan(key) ? INF : key, p);
  }
  std::nth_element(keys.begin(), keys.begin() + size, keys.end());
  Positions found;
  for (size_t i = 0; i < size; ++i) {
    found.push_back(keys[i].second);
  }
  std::sort(found.begin(), found.end());
  return found;
}

// The least accuracy that counts as equal.
inline double as_good_as(double accuracy) { return accuracy * (1.0 - WITHIN_ACCURACY - SLACK); }

// Least latency without and with waiting, and the shortfall that follows.
struct Reach
{
  double unhindered;
  double latency;
  double lacking;
};

// `accuracy` of limits that others do not touch: that of an option, or one that misses nothing.
inline Reach reach(
  const Application & app, const double * figures, double factor, double accuracy = INF)
{
  const Point least = point(app, figures, accuracy);
  const double mean = least.mean * factor;
  const double unhindered = service_at(app, least.median, least.variance, factor) + app.overhead;
  // A spread of service makes frames wait longer; without one they wait the least.
  const Variation & variation = factor < 1.0 + MET ? app.alone : app.beside;
  const double latency = unhindered + waiting(app, mean, variation.steady, variation.corrected);
  return {unhindered, latency, missed(app, least.fixed, latency, mean)};
}

// Lower bounds at each setting if certain applications are to meet their targets, worked out where they are asked for.
class Outlook
{
public:
  Outlook(const Task & task, const std::vector<std::vector<size_t>> & sharing, Required required)
  : task_(task),
    sharing_(sharing),
    required_(std::move(required)),
    count_(task.size()),
    row_(count_),
    lacking_(task.positions, UNASKED),
    factor_(task.positions * count_)
  {
    for (size_t a = 0; a < count_; ++a) {
      const Application & app = task.applications[a];
      const double * end = app.descending + app.options;
      const double least = required_[a].value_or(-INF);
      const auto accurate =
        std::partition_point(app.descending, end, [&](double each) { return each >= least; });
      row_[a] = accurate - app.descending - 1;
    }
  }

  // Whether some option of each is accurate enough; nothing else is known where not.
  bool exists() const
  {
    return std::all_of(row_.begin(), row_.end(), [](int64_t row) { return row >= 0; });
  }
  const Required & required() const { return required_; }
  const double * figures(size_t a, size_t position) const
  {
    const Application & app = task_.applications[a];
    return app.least + (task_.settings[position] * app.options + row_[a]) * FIGURES;
  }
  // What those that it cannot avoid make of an application's service at least.
  double factor(size_t a, size_t position)
  {
    return know(position), factor_[position * count_ + a];
  }
  Reach reach_of(size_t a, size_t position)
  {
    return reach(task_.applications[a], figures(a, position), factor(a, position));
  }
  // The sum of what those lack at least that are to meet their targets.
  double lacking(size_t position) { return know(position), lacking_[position]; }
  bool possible(size_t position) { return lacking(position) <= SLACK; }

private:
  static constexpr double UNASKED = -1.0;

  void know(size_t position)
  {
    if (lacking_[position] != UNASKED) {
      return;
    }
    double * factor = &factor_[position * count_];
    std::fill_n(factor, count_, 1.0);
    for (const std::vector<size_t> & group : sharing_) {
      double total = 1.0;
      for (const size_t a : group) {
        total += busy(a, position);
      }
      for (const size_t a : group) {
        factor[a] = total - busy(a, position);
      }
    }
    double lacking = 0.0;
    for (size_t a = 0; a < count_; ++a) {
      if (required_[a]) {
        lacking += reach(task_.applications[a], figures(a, position), factor[a]).lacking;
      }
    }
    lacking_[position] = lacking;
  }

  double busy(size_t a, size_t position) const
  {
    const Application & app = task_.applications[a];
    return std::min(figures(a, position)[MEAN] * (app.slow_down * app.occupied()), 1.0);
  }

  const Task & task_;
  const std::vector<std::vector<size_t>> & sharing_;
  Required required_;
  size_t count_;
  std::vector<int64_t> row_;
  std::vector<double> lacking_;
  std::vector<double> factor_;
};

// The settings that are still to be looked at.
class Bounds
{
public:
  explicit Bounds(const Task & task)
  : task_(task), count_(task.size()), left_(task.positions, true), turn_(count_), accurate_(count_)
  {
    std::map<int64_t, std::vector<size_t>> sharing;
    for (size_t a = 0; a < count_; ++a) {
      const Application & app = task.applications[a];
      turn_[a] = least_turn(a);
      for (int64_t domain = 0; domain < task.counted; ++domain) {
        double & share = least_share_.emplace_back(INF);
        for (int64_t o = 0; o < app.options; ++o) {
          share = std::min(share, app.shares[o * task.counted + domain]);
        }
      }
      accurate_[a] = app.accurate != 0.0 ? app.accurate * (1.0 - SLACK) : -INF;
      const int64_t * end = app.processors + app.options;
      // Who takes turns with another is slowed down by nobody: it may wait, or not at all.
      if (app.server == 0 && std::count(app.processors, end, app.processors[0]) == app.options) {
        sharing[app.processors[0]].push_back(a);
      }
    }
    // Those that cannot avoid each other.
    for (auto & [processor, group] : sharing) {
      if (group.size() > 1) {
        sharing_.push_back(std::move(group));
      }
    }
    limited_ = task.counted > 0 || task.power_cap < INF;
  }

  // False where no setting meets all targets; asked for by `most_promising`.
  bool all_may_be_met() const { return all_may_be_met_; }

  // Return settings to begin with, some that are cheap and some that are fast; how many are to be had if not all
  // targets can be met is `yielding`.
  Positions most_promising(size_t size, size_t yielding)
  {
    const Positions every = everything();
    if (every.size() <= size) {
      return every;
    }
    bool accurate_enough = true;
    Required required(count_);
    for (size_t a = 0; a < count_; ++a) {
      if (task_.applications[a].descending[0] >= accurate_[a]) {
        required[a] = accurate_[a];
      } else {
        accurate_enough = false;
      }
    }
    Outlook * outlook = outlook_for(required);
    const bool any =
      std::any_of(every.begin(), every.end(), [&](size_t p) { return outlook->possible(p); });
    all_may_be_met_ = accurate_enough && any;
    if (!all_may_be_met_) {
      size = yielding;
    }
    const auto fast = [&](size_t p) { return fastest(*outlook, p); };
    if (!any) {
      return first(every, [&](size_t p) { return outlook->lacking(p) + 1e-6 * fast(p); }, size);
    }
    Positions possible = those(every, [&](size_t p) { return outlook->possible(p); });
    const size_t fast_ones = size / FASTEST;
    Positions found =
      first(possible, [&](size_t p) { return power(*outlook, p); }, size - fast_ones);
    const Positions also = first(every, fast, fast_ones);
    found.insert(found.end(), also.begin(), also.end());
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }

  // Note that nothing is left to be looked at in a setting.
  void done(size_t position) { left_[position] = false; }

  // Return settings to look at next; none if the best so far is the best of all.
  Positions after(const Best & best, size_t size)
  {
    Positions left = those(everything(), [&](size_t p) { return left_[p]; });
    if (limited_) {
      const auto excess = [&](size_t p) { return least_excess(p); };
      if (any_below(left, excess, best.excess - SLACK)) {
        return first(left, excess, size);
      }
      left = those(left, [&](size_t p) { return excess(p) <= best.excess + WITHIN + SLACK; });
    }
    // Those that are met must be met elsewhere too; can one more be?
    Required required(count_);
    for (size_t k = 0; k < count_ && !left.empty(); ++k) {
      const size_t a = task_.order[k];
      Required with_it = required;
      with_it[a] = accurate_[a];
      if (best.met[a]) {
        required = with_it;
      } else if (Outlook * outlook = outlook_for(with_it)) {
        const Positions more = those(left, [&](size_t p) { return outlook->possible(p); });
        if (!more.empty()) {
          return first(more, [&](size_t p) { return outlook->reach_of(a, p).latency; }, size);
        }
      }
    }
    left = possible(required, left);
    if (left.empty()) {
      return left;
    }
    Outlook & outlook = *outlook_for(required);
    for (size_t k = 0; k < count_; ++k) {
      const size_t a = task_.order[k];
      if (!best.met[a]) {
        const double near = best.margined[a] * (1.0 + WITHIN + SLACK);
        // Less than the least of all options, which takes longer, or as much.
        left = those(left, [&](size_t p) { return outlook.reach_of(a, p).lacking <= near; });
        const auto lower = [&](size_t p) { return least_margined(a, outlook, p); };
        if (any_below(left, lower, best.margined[a] * (1.0 - SLACK))) {
          return first(left, lower, size);
        }
        left = those(left, [&](size_t p) { return lower(p) <= near; });
      }
    }
    for (size_t k = 0; k < count_; ++k) {
      const size_t a = task_.order[k];
      if (task_.applications[a].objective != Objective::MINIMUM_ENERGY && !left.empty()) {
        const Positions better = by_objective(a, required, best.values[a], left);
        if (!better.empty()) {
          return first(better, [&](size_t p) { return fastest(outlook, p); }, size);
        }
      }
    }
    left = possible(required, left);
    if (left.empty()) {
      return left;
    }
    Outlook & last = *outlook_for(required);
    const auto lower = [&](size_t p) { return power(last, p); };
    left = those(left, [&](size_t p) { return lower(p) <= best.power * (1.0 + SLACK); });
    return first(left, lower, size);
  }

private:
  Positions everything() const
  {
    Positions every(task_.positions);
    std::iota(every.begin(), every.end(), 0);
    return every;
  }

  template <typename Value>
  static bool any_below(const Positions & positions, Value value, double bound)
  {
    return std::any_of(
      positions.begin(), positions.end(), [&](size_t p) { return value(p) < bound; });
  }

  // Return the outlook, none where no option is accurate enough.
  Outlook * outlook_for(const Required & required)
  {
    std::unique_ptr<Outlook> & found = outlooks_[required];
    if (!found) {
      found = std::make_unique<Outlook>(task_, sharing_, required);
    }
    return found->exists() ? found.get() : nullptr;
  }

  // Return those of some settings where all that is required may be had.
  Positions possible(const Required & required, const Positions & left)
  {
    Outlook * outlook = outlook_for(required);
    return outlook ? those(left, [&](size_t p) { return outlook->possible(p); }) : Positions();
  }

  // Return settings where an objective may be served better; keep of `left` those where equally well. What is required
  // of accuracy grows to what the best has.
  Positions by_objective(size_t a, Required & required, double value, Positions & left)
  {
    const Application & app = task_.applications[a];
    if (app.objective == Objective::MINIMUM_LATENCY) {
      Outlook & outlook = *outlook_for(required);
      const auto latency = [&](size_t p) { return outlook.reach_of(a, p).latency; };
      const Positions better =
        those(left, [&](size_t p) { return latency(p) < value * (1.0 - SLACK); });
      const double equal = value + WITHIN * std::abs(value) + SLACK;
      left = those(left, [&](size_t p) { return latency(p) <= equal; });
      return better;
    }
    if (!required[a]) {
      // What it misses has narrowed the settings already.
      return above(app, -value) ? left : Positions();
    }
    Positions better;
    if (const std::optional<double> higher = above(app, -value * (1.0 + SLACK))) {
      Required more = required;
      more[a] = std::max(*higher, *required[a]);
      better = possible(more, left);
    }
    required[a] = std::max(*required[a], as_good_as(-value));
    left = possible(required, left);
    return better;
  }

  // Return the next higher accuracy of an option, none where there is none.
  static std::optional<double> above(const Application & app, double accuracy)
  {
    std::optional<double> found;
    for (int64_t i = 0; i < app.options && app.descending[i] > accuracy; ++i) {
      found = app.descending[i];
    }
    return found;
  }

  // Return what an application lacks at least at a setting, margins kept.
  double least_margined(size_t a, Outlook & outlook, size_t position) const
  {
    const Application & app = task_.applications[a];
    double least = INF;
    for (int64_t o = 0; o < app.options; ++o) {
      const double * figures = task_.figures(a, position, o);
      least =
        std::min(least, reach(app, figures, outlook.factor(a, position), app.accuracy[o]).lacking);
    }
    return least;
  }

  // Return a figure that is small where all are served fast.
  double fastest(const Outlook & outlook, size_t position) const
  {
    double total = 0.0;
    for (size_t a = 0; a < count_; ++a) {
      total += outlook.figures(a, position)[MEAN] * task_.applications[a].rate;
    }
    return total;
  }

  // Return the least excess over the limits of utilisation and power.
  double least_excess(size_t position)
  {
    if (over_.empty()) {
      over_.resize(task_.positions);
      Outlook & outlook = *outlook_for(Required(count_));
      for (size_t p = 0; p < over_.size(); ++p) {
        over_[p] = excess(outlook, p);
      }
    }
    return over_[position];
  }

  double excess(Outlook & outlook, size_t position) const
  {
    double most = task_.limit;
    for (int64_t domain = 0; domain < task_.counted; ++domain) {
      double load = task_.foreign[position * task_.counted + domain];
      for (size_t a = 0; a < count_; ++a) {
        const Application & app = task_.applications[a];
        const double busy = outlook.figures(a, position)[MEAN] * (app.slow_down * app.occupied());
        load += least_share_[a * task_.counted + domain] * std::min(busy, turn_[a]);
      }
      most = std::max(most, load);
    }
    const double over = most - task_.limit;
    if (task_.power_cap == INF) {
      return over;
    }
    return std::max(over, power(outlook, position) / task_.power_cap - 1.0);
  }

  // Return the least power of the board, W.
  double power(Outlook & outlook, size_t position) const
  {
    double power = 0.0, idle = 0.0;
    for (size_t a = 0; a < count_; ++a) {
      const Application & app = task_.applications[a];
      const double * figures = outlook.figures(a, position);
      const double work = figures[WORK] * app.slow_down;
      const double all_served = work * app.occupied();
      // With the processor busy throughout, frames are left out.
      double least = std::min(all_served, figures[DYNAMIC_POWER] * turn_[a]);
      if (outlook.required()[a]) {
        least = std::max(least, work * (std::min(app.rate, app.asked) * app.occupancy));
        const double longest = app.latency * (1.0 + SLACK) - app.longest;
        if (app.latency != 0.0 && outlook.reach_of(a, position).unhindered > longest) {
          least = all_served;
        }
      }
      power += work < 0.0 ? all_served : least;
      idle = std::max(idle, figures[IDLE_POWER]);
    }
    return power + idle + task_.power_beside(position);
  }

  // Return the least share of the time of its processor that an application may have.
  double least_turn(size_t a) const
  {
    const Application & me = task_.applications[a];
    size_t equal = 0, others = 0;
    bool higher = false;
    for (size_t b = 0; b < count_; ++b) {
      const Application & other = task_.applications[b];
      if (b != a && !take_turns(me, other)) {
        ++others;
      } else if (b != a) {
        equal += other.priority == me.priority;
        higher |= other.priority > me.priority;
      }
    }
    return (higher ? LEAST_LEFT : 1.0 / (1.0 + equal)) / (1.0 + others);
  }

  const Task & task_;
  size_t count_;
  std::vector<char> left_;
  std::vector<double> turn_;
  std::vector<double> accurate_;
  std::vector<double> least_share_;  // applications x counted domains
  std::vector<double> over_;         // least excess at each setting, once it is asked for
  std::vector<std::vector<size_t>> sharing_;
  std::map<Required, std::unique_ptr<Outlook>> outlooks_;
  bool limited_ = false;
  bool all_may_be_met_ = true;
};

}  // namespace joint_choice

#endif  // JOINT_CHOICE__BOUNDS_HPP_
