package main

import (
	"bytes"
	"encoding/json"
	"iter"
	"log"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	taskwheel "example.com/taskwheel/go"
	pb "example.com/taskwheel/go/taskwheel/v1"
)

// args are the arguments of a step, by name.
type args map[string]any

func arguments(text []byte) args {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var a args
	if len(text) > 0 {
		if err := decoder.Decode(&a); err != nil {
			log.Fatal(err)
		}
	}
	return a
}

func (a args) text(name string) string {
	text, _ := a[name].(string)
	return text
}

func (a args) truth(name string, otherwise bool) bool {
	if truth, ok := a[name].(bool); ok {
		return truth
	}
	return otherwise
}

func (a args) whole(name string, otherwise int) int {
	if number, ok := a[name].(json.Number); ok {
		whole, _ := number.Int64()
		return int(whole)
	}
	return otherwise
}

func (a args) seconds(name string, otherwise time.Duration) time.Duration {
	if number, ok := a[name].(json.Number); ok {
		seconds, _ := number.Float64()
		return time.Duration(seconds * float64(time.Second))
	}
	return otherwise
}

func (a args) strings(name string) []string {
	list, _ := a[name].([]any)
	var found []string
	for _, item := range list {
		found = append(found, item.(string))
	}
	return found
}

func (a args) pairs(name string) map[string]string {
	object, _ := a[name].(map[string]any)
	found := map[string]string{}
	for key, value := range object {
		found[key] = value.(string)
	}
	return found
}

// duration is a length of time; nil when it is not given.
func (a args) duration(name string) *durationpb.Duration {
	if _, given := a[name]; !given {
		return nil
	}
	return durationpb.New(a.seconds(name, 0))
}

// options are those of a run.
func (a args) options() []taskwheel.RunOption {
	options := []taskwheel.RunOption{
		taskwheel.WithTags(a.strings("tags")...), taskwheel.WithLabels(a.pairs("labels")),
		taskwheel.WithRequestID(a.text("request_id")),
	}
	if _, given := a["priority"]; given {
		options = append(options, taskwheel.WithPriority(int32(a.whole("priority", 0))))
	}
	if instant := a.instant("schedule_time"); instant != nil {
		options = append(options, taskwheel.WithScheduleTime(instant.AsTime()))
	}
	return options
}

// instant is a time; nil when it is not given.
func (a args) instant(name string) *timestamppb.Timestamp {
	if a.text(name) == "" {
		return nil
	}
	instant, err := time.Parse(time.RFC3339Nano, a.text(name))
	if err != nil {
		log.Fatal(err)
	}
	return timestamppb.New(instant)
}

// long is an integer of 64 bits.
func (a args) long(name string) (int64, bool) {
	number, err := strconv.ParseInt(a.text(name), 10, 64)
	return number, err == nil
}

// taskOf is a task with these fields.
func taskOf(fields map[string]any) (*pb.Task, error) {
	task := &pb.Task{}
	payload := fields["payload"]
	delete(fields, "payload")
	parse(fields, task)
	if payload != nil {
		object, err := taskwheel.Payload(payload)
		if err != nil {
			return nil, err
		}
		task.Input = &pb.Task_Payload{Payload: object}
	}
	return task, nil
}

// parse reads a message in the proto3 JSON form.
func parse(source any, message proto.Message) {
	text, err := json.Marshal(source)
	if err == nil {
		err = protojson.Unmarshal(text, message)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// all are the items of a list, up to the limit among the arguments.
func all[Item any](items iter.Seq2[Item, error], a args) (any, error) {
	found := []Item{}
	for item, err := range items {
		if err != nil {
			return nil, err
		}
		if found = append(found, item); len(found) == a.whole("limit", -1) {
			break
		}
	}
	return found, nil
}
