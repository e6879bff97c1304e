package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"maps"
	"reflect"
	"slices"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	taskwheel "example.com/taskwheel/go"
)

// jsonOf makes JSON of what the client answered: of messages in the proto3 form, of lists item by item.
func jsonOf(value any) any {
	if message, ok := value.(proto.Message); ok {
		if reflect.ValueOf(message).IsNil() {
			return nil
		}
		text, err := protojson.Marshal(message)
		if err != nil {
			log.Fatal(err)
		}
		return json.RawMessage(text)
	}
	if list := reflect.ValueOf(value); list.Kind() == reflect.Slice {
		items := make([]any, list.Len())
		for i := range items {
			items[i] = jsonOf(list.Index(i).Interface())
		}
		return items
	}
	return value
}

// errorOf tells an error of the client; one that is not the client's is unexpected.
func errorOf(err error) map[string]any {
	told := map[string]any{"message": err.Error()}
	var (
		answered    *taskwheel.Error
		failed      *taskwheel.RunFailedError
		notDone     *taskwheel.RunNotDoneError
		unsupported *taskwheel.UnsupportedValueError
	)
	switch {
	case errors.As(err, &failed):
		told["reason"], told["run"] = "RUN_FAILED", jsonOf(failed.Run)
	case errors.As(err, &notDone):
		told["reason"], told["run"] = "RUN_NOT_DONE", jsonOf(notDone.Run)
	case errors.As(err, &unsupported):
		told["reason"], told["fields"] = "UNSUPPORTED_VALUE", []string{unsupported.Path}
	case errors.Is(err, taskwheel.ErrRequestTooLarge):
		told["reason"] = "REQUEST_TOO_LARGE"
	case errors.As(err, &answered):
		told["code"] = code.Code(answered.Code).String()
		if answered.Code == codes.Canceled && errors.Is(err, context.Canceled) {
			told["code"] = "CANCELLED"
		}
		if answered.Reason != "" {
			told["reason"] = answered.Reason
		}
		if len(answered.Metadata) > 0 {
			told["metadata"] = answered.Metadata
		}
		if len(answered.Fields) > 0 {
			told["fields"] = slices.Sorted(maps.Keys(answered.Fields))
		}
		if answered.RetryAfter > 0 {
			told["retry_after"] = answered.RetryAfter.Seconds()
		}
	default:
		told["unexpected"] = fmt.Sprintf("%T", err)
	}
	return told
}
