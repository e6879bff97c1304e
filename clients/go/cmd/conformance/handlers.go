package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	taskwheel "example.com/taskwheel/go"
)

// gates are what handlers wait for, by name.
type gates struct {
	mu    sync.Mutex
	named map[string]chan struct{}
	all   chan struct{} // closed: everybody may go
}

func newGates() *gates {
	return &gates{named: map[string]chan struct{}{}, all: make(chan struct{})}
}

func (g *gates) gate(name string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.named[name] == nil {
		g.named[name] = make(chan struct{})
	}
	return g.named[name]
}

// wait waits until the gate is open or the context ends.
func (g *gates) wait(ctx context.Context, name string) error {
	select {
	case <-g.gate(name):
	case <-g.all:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// open lets through who waits here, now and later.
func (g *gates) open(name string) {
	gate := g.gate(name)
	select {
	case <-gate:
	default:
		close(gate)
	}
}

var levels = map[string]slog.Level{
	"DEBUG": slog.LevelDebug, "INFO": slog.LevelInfo, "WARNING": slog.LevelWarn, "ERROR": slog.LevelError,
}

// input is the payload of those handlers that look into it.
type input struct {
	A, B    float64
	Name    string
	Message string
	Bytes   int
	Gate    string
	Ratios  []float64
	Entries []struct {
		Level, Message string
		Fields         map[string]any
	}
}

// builtIn is the built-in handler of this name.
func (g *gates) builtIn(kind string) taskwheel.Handler {
	return func(ctx context.Context, run *taskwheel.Run) (any, error) {
		switch kind {
		case "echo":
			return run.GetPayload(), nil
		case "inspect":
			return map[string]any{
				"uid": run.GetUid(), "task": run.GetTask(), "handler": run.GetHandler(), "attempt": run.GetAttempt(),
				"tags": run.GetTags(), "labels": run.GetLabels(), "payload": run.GetPayload(),
			}, nil
		}
		var in input
		if err := run.Bind(&in); err != nil {
			return nil, err
		}
		return g.perform(ctx, kind, run, in)
	}
}

func (g *gates) perform(ctx context.Context, kind string, run *taskwheel.Run, in input) (any, error) {
	failure := taskwheel.NamedError(in.Name, errors.New(in.Message))
	switch kind {
	case "add":
		return in.A + in.B, nil
	case "fail":
		return nil, failure
	case "fail_twice":
		if run.GetAttempt() < 3 {
			return nil, failure
		}
		return map[string]any{"attempt": run.GetAttempt()}, nil
	case "crash":
		return in.Ratios[len(run.GetName())], nil
	case "unsupported":
		return func() {}, nil
	case "big":
		return strings.Repeat("x", in.Bytes), nil
	case "log":
		for _, entry := range in.Entries {
			var fields []any
			for name, value := range entry.Fields {
				fields = append(fields, name, value)
			}
			run.Log().Log(ctx, levels[entry.Level], entry.Message, fields...)
		}
		return len(in.Entries), nil
	case "progress":
		for _, ratio := range in.Ratios {
			run.Progress(ratio, in.Message)
		}
		return in.Ratios[len(in.Ratios)-1], g.wait(ctx, in.Gate)
	case "gate":
		run.Log().Info("begun")
		return run.GetPayload(), g.wait(ctx, in.Gate)
	case "stubborn":
		run.Log().Info("begun")
		return run.GetPayload(), g.wait(context.WithoutCancel(ctx), in.Gate)
	}
	return nil, errors.New("no built-in handler " + kind)
}
