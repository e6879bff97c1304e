package taskwheel

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

// A whole entry; its text may fill it.
const maxEntry = 64 << 10

// logHandler makes entries in the log of a run of what a slog.Logger is told. Groups are objects within the fields.
type logHandler struct {
	run    *Run
	scopes []scope
}

// scope is a group with its attributes; the outermost one has no name.
type scope struct {
	group string
	attrs []slog.Attr
}

// Enabled tells that every level is written.
func (logHandler) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs adds attributes to every record that comes.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.run, append(h.scopes[:len(h.scopes):len(h.scopes)], scope{attrs: attrs})}
}

// WithGroup puts the attributes that come into an object.
func (h logHandler) WithGroup(name string) slog.Handler {
	return logHandler{h.run, append(h.scopes[:len(h.scopes):len(h.scopes)], scope{group: name})}
}

// Handle writes one entry; text beyond 64 KiB is cut, and fields that do not fit beside it are left out.
func (h logHandler) Handle(_ context.Context, record slog.Record) error {
	entry := &pb.LogEntry{Level: levelOf(record.Level), Message: clip(record.Message, maxEntry)}
	if !record.Time.IsZero() {
		entry.Time = timestamppb.New(record.Time)
	}
	whole := map[string]any{}
	inner := whole
	for _, scope := range h.scopes {
		if scope.group != "" {
			object := map[string]any{}
			inner[scope.group] = object
			inner = object
		}
		for _, attr := range scope.attrs {
			addAttr(inner, attr)
		}
	}
	record.Attrs(func(attr slog.Attr) bool {
		addAttr(inner, attr)
		return true
	})
	if len(whole) > 0 {
		entry.Fields = fieldsOf(whole)
		if len(entry.Message)+proto.Size(entry.Fields) > maxEntry {
			entry.Fields = nil
		}
	}
	h.run.out.put(h.run, entry)
	return nil
}

// addAttr adds an attribute to an object.
func addAttr(object map[string]any, attr slog.Attr) {
	value := attr.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		inner := object
		if attr.Key != "" {
			inner = map[string]any{}
			object[attr.Key] = inner
		}
		for _, member := range value.Group() {
			addAttr(inner, member)
		}
		return
	}
	if attr.Equal(slog.Attr{}) {
		return
	}
	switch v := value.Any().(type) {
	case error:
		object[attr.Key] = v.Error()
	case time.Duration:
		object[attr.Key] = v.String()
	default:
		object[attr.Key] = v
	}
}

// fieldsOf makes an object of JSON; if a part of it is none, of texts.
func fieldsOf(whole map[string]any) *structpb.Struct {
	fields, err := Payload(whole)
	if err == nil {
		return fields
	}
	texts := make(map[string]any, len(whole))
	for key, value := range whole {
		texts[clip(key, maxEntry)] = clip(fmt.Sprint(value), maxEntry)
	}
	fields, _ = Payload(texts)
	return fields
}

func levelOf(level slog.Level) pb.LogEntry_Level {
	switch {
	case level < slog.LevelInfo:
		return pb.LogEntry_DEBUG
	case level < slog.LevelWarn:
		return pb.LogEntry_INFO
	case level < slog.LevelError:
		return pb.LogEntry_WARNING
	}
	return pb.LogEntry_ERROR
}
