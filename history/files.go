package history

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// Read loads a record: a complete one, or what a killed run left behind. Events
// and fields of a later version are kept or skipped, never an error.
func Read(dir string) (History, error) {
	var h History
	var err error
	if h.Events, err = readLines[Event](filepath.Join(dir, eventsFile)); err != nil {
		return History{}, fmt.Errorf("record: %w", err)
	}
	slices.SortStableFunc(h.Events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	h.Requests, err = readParquet(filepath.Join(dir, requestsFile))
	if errors.Is(err, fs.ErrNotExist) {
		h.Requests, err = readRequestsLog(filepath.Join(dir, requestsLog))
	}
	if err != nil {
		return History{}, fmt.Errorf("record: %w", err)
	}
	plan, _ := First[Plan](h.Events)
	h.Plan = plan.Data
	return h, nil
}

// readRequestsLog reads the log in order of intended arrival.
func readRequestsLog(path string) ([]Request, error) {
	requests, err := readLines[Request](path)
	slices.SortStableFunc(requests, func(a, b Request) int {
		return cmp.Or(cmp.Compare(a.Intended, b.Intended), cmp.Compare(a.Seq, b.Seq))
	})
	return requests, err
}

// readLines reads one JSON value a line. A last line without its end was being
// written when the run was killed and does not count.
func readLines[T any](path string) ([]T, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var values []T
	lines := bufio.NewReaderSize(file, 1<<16)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err != nil {
			return values, err
		}
		var value T
		if err := json.Unmarshal(line, &value); err != nil {
			return values, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		values = append(values, value)
	}
}

// row is a request as it stands in requests.parquet. A column that is null where
// the request has no value is optional; instants are microseconds since the run
// began.
type row struct {
	Seq        int64  `parquet:"seq,delta"`
	Name       string `parquet:"name,dict"`
	Write      bool   `parquet:"write"`
	IntendedUs int64  `parquet:"intended_us,delta"`
	SentUs     *int64 `parquet:"sent_us,optional"`
	DoneUs     *int64 `parquet:"done_us,optional"`
	Status     int32  `parquet:"status,optional"`
	Expected   bool   `parquet:"expected"`
	Err        string `parquet:"error,optional,dict"`
	Attempts   int32  `parquet:"attempts"`
	Body       string `parquet:"body,optional,dict"`
	ID         string `parquet:"request_id,optional"`
	Generation int64  `parquet:"generation,optional"`
	Version    string `parquet:"version,optional,dict"`
	Attributed string `parquet:"attributed_by,optional,dict"`
	Pod        string `parquet:"pod,optional,dict"`
}

func toRow(r Request) row {
	return row{
		Seq: r.Seq, Name: r.Name, Write: r.Write,
		IntendedUs: int64(r.Intended), SentUs: nullable(r.Sent), DoneUs: nullable(r.Done),
		Status: int32(r.Status), Expected: r.Expected, Err: r.Err, Attempts: int32(r.Attempts),
		Body: r.Body, ID: r.ID, Generation: r.Gen,
		Version: string(r.Version), Attributed: r.Attributed, Pod: r.Pod,
	}
}

func (w row) request() Request {
	return Request{
		Seq: w.Seq, Name: w.Name, Write: w.Write,
		Intended: Micros(w.IntendedUs), Sent: instant(w.SentUs), Done: instant(w.DoneUs),
		Status: int(w.Status), Expected: w.Expected, Err: w.Err, Attempts: int(w.Attempts),
		Body: w.Body, ID: w.ID, Gen: w.Generation,
		Version: Version(w.Version), Attributed: w.Attributed, Pod: w.Pod,
	}
}

func nullable(m Micros) *int64 {
	if !m.Happened() {
		return nil
	}
	us := int64(m)
	return &us
}

func instant(us *int64) Micros {
	if us == nil {
		return Never
	}
	return Micros(*us)
}

// rowGroup bounds what a reader must hold at once.
const rowGroup = 100_000

// writeParquet writes the file aside and renames it, so that it is whole or absent.
func writeParquet(path string, requests []Request) error {
	aside, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	err = errors.Join(writeRows(aside, requests), aside.Sync(), aside.Close())
	if err == nil {
		err = os.Rename(aside.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), os.Remove(aside.Name()))
	}
	return nil
}

func writeRows(w io.Writer, requests []Request) error {
	rows := parquet.NewGenericWriter[row](w, parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(rowGroup))
	for chunk := range slices.Chunk(requests, 1024) {
		batch := make([]row, len(chunk))
		for i, r := range chunk {
			batch[i] = toRow(r)
		}
		if _, err := rows.Write(batch); err != nil {
			return err
		}
	}
	return rows.Close()
}

func readParquet(path string) ([]Request, error) {
	rows, err := parquet.ReadFile[row](path)
	if err != nil {
		return nil, err
	}
	requests := make([]Request, len(rows))
	for i, w := range rows {
		requests[i] = w.request()
	}
	return requests, nil
}
