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
