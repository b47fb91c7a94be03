// Copyright 2026 dynamic_dnn_ros contributors
// SPDX-License-Identifier: Apache-2.0
//
// The applications' choices at one setting, each with an attitude, and what they come to.

#ifndef JOINT_CHOICE__CHOOSING_HPP_
#define JOINT_CHOICE__CHOOSING_HPP_

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "task.hpp"

namespace joint_choice
{

// What an application chooses by: its objective, the least that will do, or the least.
enum class Attitude
{
  OBJECTIVE,
  THRIFTY,
  LEAST
};

// Attitudes of the applications in order of priority, a row for each strategy in which somebody yields. Where there is
// a cap even one alone, and all together, may have to yield to it.
inline std::vector<std::vector<Attitude>> yielding_attitudes(size_t count, bool capped)
{
  std::vector<std::vector<Attitude>> found;
  if (count < 2 && !capped) {
    return found;
  }
  const auto add = [&](Attitude first, Attitude rest, size_t begin) {
    for (size_t k = begin; k < count; ++k) {
      std::vector<Attitude> row(count, rest);
      std::fill_n(row.begin(), k, first);
      found.push_back(row);
    }
  };
  add(Attitude::OBJECTIVE, Attitude::THRIFTY, 0);
  add(Attitude::OBJECTIVE, Attitude::LEAST, 1);
  add(Attitude::THRIFTY, Attitude::LEAST, 1);
  if (capped) {
    found.emplace_back(count, Attitude::LEAST);
  }
  return found;
}

// Choices at one setting after the other.
class Choosing
{
public:
  explicit Choosing(const Task & task)
  : task_(task),
    count_(task.size()),
    processors_(count_),
    place_(count_),
    points_(count_),
    option_(count_),
    taken_(count_),
    seen_{std::vector<Seen>(count_), std::vector<Seen>(count_)}
  {
    for (size_t a = 0; a < count_; ++a) {
      const Application & app = task.applications[a];
      points_[a].resize(app.options);
      processors_[a].assign(app.processors, app.processors + app.options);
      std::sort(processors_[a].begin(), processors_[a].end());
      processors_[a].erase(
        std::unique(processors_[a].begin(), processors_[a].end()), processors_[a].end());
      for (int64_t o = 0; o < app.options; ++o) {
        place_[a].push_back(
          std::lower_bound(processors_[a].begin(), processors_[a].end(), app.processors[o]) -
          processors_[a].begin());
      }
    }
  }

  // Go to a setting.
  void at(size_t position)
  {
    position_ = position;
    for (size_t a = 0; a < count_; ++a) {
      const Application & app = task_.applications[a];
      for (int64_t o = 0; o < app.options; ++o) {
        points_[a][o] = point(app, task_.figures(a, position, o), app.accuracy[o]);
      }
      seen_[0][a].met.clear();
      seen_[1][a].met.clear();
    }
  }

  // Add the joint candidate that attitudes in order of priority lead to.
  void add(const std::vector<Attitude> & attitudes, int64_t strategy, Candidates & found)
  {
    taken_.assign(count_, Taken());
    for (size_t k = 0; k < count_; ++k) {
      choose(task_.order[k], attitudes[k], 0);
    }
    // The last one knew what all others take: it only chooses again if that has changed.
    bool changed = false;
    for (size_t k = 0; k + 1 < count_; ++k) {
      changed |= choose(task_.order[k], attitudes[k], 1);
    }
    if (changed) {
      choose(task_.order[count_ - 1], attitudes[count_ - 1], 1);
    }
    value(strategy, found);
  }

private:
  double dynamic_power(size_t a, int64_t option) const
  {
    return task_.figures(a, position_, option)[DYNAMIC_POWER];
  }

  // The utilisation of a counted domain, above the limit, by all but one application.
  double load_but_of(size_t a, int64_t domain) const
  {
    double load = task_.foreign[position_ * task_.counted + domain] - task_.limit;
    for (size_t b = 0; b < count_; ++b) {
      if (b != a && taken_[b].busy > 0.0) {
        load += taken_[b].busy * task_.applications[b].shares[option_[b] * task_.counted + domain];
      }
    }
    return load;
  }

  struct Outcome
  {
    double busy;
    double latency;
    double margined;
  };

  // What became of an application's options beside what it met last on each of its processors.
  struct Seen
  {
    std::vector<Contention> met;
    std::vector<Outcome> outcomes;
  };

  // Return what becomes of an application's options. In one round of choices many strategies leave it the same.
  const std::vector<Outcome> & outcomes(size_t a, Seen & seen)
  {
    const Application & app = task_.applications[a];
    met_.clear();
    for (const int64_t processor : processors_[a]) {
      met_.push_back(contention_on(processor, a, task_.applications, taken_.data(), count_));
    }
    if (met_ != seen.met) {
      seen.met = met_;
      seen.outcomes.resize(app.options);
      for (int64_t o = 0; o < app.options; ++o) {
        const Contention & met = met_[place_[a][o]];
        const Prediction found = predict(app, points_[a][o], met);
        seen.outcomes[o] = {
          busy_share(points_[a][o], met), found.latency,
          missed(app, points_[a][o].fixed, found.latency, found.mean)};
      }
    }
    return seen.outcomes;
  }

  // Choose an application's option; tell whether it takes other time now.
  bool choose(size_t a, Attitude attitude, size_t round)
  {
    const Application & app = task_.applications[a];
    const std::vector<Outcome> & outcomes = this->outcomes(a, seen_[round][a]);
    kept_.resize(app.options);
    std::iota(kept_.begin(), kept_.end(), 0);
    if (task_.counted > 0) {
      excess_.assign(app.options, 0.0);
      for (int64_t domain = 0; domain < task_.counted; ++domain) {
        const double others = load_but_of(a, domain);
        for (int64_t o = 0; o < app.options; ++o) {
          const double load = outcomes[o].busy * app.shares[o * task_.counted + domain] + others;
          excess_[o] = std::max(excess_[o], load);
        }
      }
      narrow(kept_, [&](int64_t o) { return excess_[o]; }, 0.0, WITHIN);
    }
    // Where some meet the target, only those are kept. The least need not, but be in the profile.
    narrow(
      kept_,
      [&](int64_t o) {
        const double margined = outcomes[o].margined;
        return attitude == Attitude::LEAST && std::isfinite(margined) ? 0.0 : margined;
      },
      WITHIN);
    if (attitude != Attitude::OBJECTIVE) {
      narrow(kept_, [&](int64_t o) { return outcomes[o].busy; }, WITHIN);
    } else if (app.objective == Objective::MAXIMUM_ACCURACY) {
      narrow(kept_, [&](int64_t o) { return app.inaccuracy(o); }, WITHIN_ACCURACY);
    } else if (app.objective == Objective::MINIMUM_LATENCY) {
      narrow(kept_, [&](int64_t o) { return outcomes[o].latency; }, WITHIN);
    }
    int64_t best = kept_.front();
    double least = outcomes[best].busy * dynamic_power(a, best);
    for (const int64_t o : kept_) {
      const double added = outcomes[o].busy * dynamic_power(a, o);
      if (added < least) {
        best = o;
        least = added;
      }
    }
    const Taken taken{app.processors[best], outcomes[best].busy};
    const bool changed = best != option_[a] || taken.busy != taken_[a].busy;
    option_[a] = best;
    taken_[a] = taken;
    return changed;
  }

  // Add what has been chosen and what it comes to.
  void value(int64_t strategy, Candidates & found)
  {
    for (size_t a = 0; a < count_; ++a) {
      taken_[a].busy = points_[a][option_[a]].busy;
    }
    busy_.resize(count_);
    double power = 0.0, idle = 0.0, excess = 0.0;
    for (size_t a = 0; a < count_; ++a) {
      const Application & app = task_.applications[a];
      const int64_t o = option_[a];
      const Contention met =
        contention_on(app.processors[o], a, task_.applications, taken_.data(), count_);
      const Prediction expected = predict(app, points_[a][o], met);
      busy_[a] = busy_share(points_[a][o], met);
      power += busy_[a] * dynamic_power(a, o);
      idle = std::max(idle, task_.figures(a, position_, o)[IDLE_POWER]);
      found.options.push_back(o);
      found.margined.push_back(missed(app, points_[a][o].fixed, expected.latency, expected.mean));
      found.values.push_back(
        app.objective == Objective::MAXIMUM_ACCURACY ? app.inaccuracy(o) : expected.latency);
    }
    power += idle + task_.power_beside(position_);
    for (int64_t domain = 0; domain < task_.counted; ++domain) {
      double load = task_.foreign[position_ * task_.counted + domain];
      for (size_t a = 0; a < count_; ++a) {
        load += busy_[a] * task_.applications[a].shares[option_[a] * task_.counted + domain];
      }
      excess = std::max(excess, load - task_.limit);
    }
    excess = std::max(excess, power / task_.power_cap - 1.0);
    found.position.push_back(position_);
    found.strategy.push_back(strategy);
    found.excess.push_back(excess);
    found.power.push_back(power);
  }

  const Task & task_;
  size_t count_;
  size_t position_ = 0;
  std::vector<std::vector<int64_t>> processors_;  // of each application, each once
  std::vector<std::vector<size_t>> place_;        // among them, of each option's
  std::vector<std::vector<Point>> points_;
  std::vector<int64_t> option_;
  std::vector<Taken> taken_;
  std::vector<Seen> seen_[2];  // in each round
  std::vector<Contention> met_;
  std::vector<double> excess_;
  std::vector<int64_t> kept_;
  std::vector<double> busy_;
};

}  // namespace joint_choice

#endif  // JOINT_CHOICE__CHOOSING_HPP_
