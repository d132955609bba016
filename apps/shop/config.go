package main

import (
	"fmt"
	"hash/fnv"
	"os"
	"strconv"
	"strings"
	"time"
)

// config is the environment, read.
type config struct {
	port       string
	version    string
	latency    time.Duration
	atOnce     int // 0: any number
	errorRate  float64
	seed       uint64
	blackHole  bool
	ready      bool
	startDelay time.Duration
	warmUp     time.Duration
	store      string
	total      int
	cold       int64
	seat       string
}

// readConfig reads the environment. A value that cannot be read is an error: a shop
// that ignored it would be a better one than the scenario asked for.
func readConfig(getenv func(string) string) (config, error) {
	env := environment{getenv: getenv}
	c := config{
		port:       env.text("PORT", "8080"),
		version:    env.text("VERSION", ""),
		latency:    read(&env, "LATENCY", "0s", time.ParseDuration),
		atOnce:     read(&env, "AT_ONCE", "0", strconv.Atoi),
		errorRate:  read(&env, "ERROR_RATE", "0%", parseShare),
		seed:       read(&env, "SEED", "1", func(s string) (uint64, error) { return strconv.ParseUint(s, 10, 64) }),
		blackHole:  read(&env, "BLACK_HOLE", "false", strconv.ParseBool),
		ready:      read(&env, "READY", "true", strconv.ParseBool),
		store:      env.text("STORE", ""),
		total:      read(&env, "TOTAL", "7", strconv.Atoi),
		cold:       read(&env, "COLD", "0", func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }),
		seat:       env.text("SEAT", ""),
		startDelay: read(&env, "START_DELAY", "0s", time.ParseDuration),
		warmUp:     read(&env, "WARM_UP", "0s", time.ParseDuration),
	}
	return c, env.err
}

// environment remembers the first variable that cannot be read.
type environment struct {
	getenv func(string) string
	err    error
}

func (e *environment) text(name, fallback string) string {
	if value := e.getenv(name); value != "" {
		return value
	}
	return fallback
}

func read[T any](e *environment, name, fallback string, parse func(string) (T, error)) T {
	value, err := parse(e.text(name, fallback))
	if err != nil && e.err == nil {
		e.err = fmt.Errorf("%s=%s: %w", name, e.text(name, fallback), err)
	}
	return value
}

// parseShare reads "5%".
func parseShare(text string) (float64, error) {
	number, isPercentage := strings.CutSuffix(text, "%")
	share, err := strconv.ParseFloat(number, 64)
	if err != nil || !isPercentage || share < 0 || share > 100 {
		return 0, fmt.Errorf("write a percentage, such as 5%%")
	}
	return share / 100, nil
}

// hostSeed makes pods with one SEED fail at different requests.
func hostSeed() uint64 {
	name, err := os.Hostname()
	if err != nil {
		return 0
	}
	sum := fnv.New64a()
	sum.Write([]byte(name))
	return sum.Sum64()
}
