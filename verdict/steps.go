package verdict

import "github.com/cutover-dev/cutover/history"

// listSteps are the steps that began. A step's live and end belong to the latest
// beginning of that name, for a procedure may come through one twice.
func (e *Evidence) listSteps() []Step {
	list := []Step{}
	latest := map[string]int{}
	for _, event := range e.Events {
		if began, ok := history.Decode[history.StepBegan](event); ok {
			latest[began.Name] = len(list)
			list = append(list, Step{Name: began.Name, Title: began.Title, BeginMs: event.At.Millis()})
		}
		if live, ok := history.Decode[history.StepLive](event); ok {
			if i, known := latest[live.Name]; known {
				list[i].LiveMs = event.At.Millis()
			}
		}
		if ended, ok := history.Decode[history.StepEnded](event); ok {
			if i, known := latest[ended.Name]; known {
				list[i].EndMs = event.At.Millis()
			}
		}
	}
	return list
}

// wentWrongAt is the step under way when users first got bad answers: at the onset of
// the incident, if there was one. It is the last step if they got none.
func (e *Evidence) wentWrongAt() string {
	instant := e.period.to
	if bad := e.series.badIn(0, len(e.series.arrivals)); len(bad) > 0 {
		instant = e.series.at(bad[0])
	}
	if e.about != nil {
		instant = e.about.onset
	}
	return e.stepAt(instant)
}

// stepAt is the step under way at an instant; "" if none has begun.
func (e *Evidence) stepAt(instant history.Micros) string {
	name := ""
	for _, step := range history.All[history.StepBegan](e.Events) {
		if step.At <= instant.After(e.slack()) {
			name = step.Data.Name
		}
	}
	return name
}

// countReadings counts what the gate said.
func (e *Evidence) countReadings() Gate {
	var gate Gate
	for _, reading := range history.All[history.Reading](e.Events) {
		gate.Readings++
		switch reading.Data.Status {
		case "fail":
			gate.Failures++
		case "no-data":
			gate.NoData++
		}
	}
	return gate
}
