package taskwheel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/structpb"
)

// Doubles hold every integer up to here.
const maxInteger = 1 << 53

// The bound of the server. Past it most parsers of protobuf give up.
const maxDepth = 32

// Payload makes a JSON object of a map, a struct, or anything else that encoding/json makes an object of.
//
// Numbers are doubles on the wire, so an integer beyond 2^53 would silently become another one: it is refused with an
// *UnsupportedValueError, as is all that JSON does not have, and what is nested deeper than 32 levels.
func Payload(source any) (*structpb.Struct, error) {
	if object, ok := source.(*structpb.Struct); ok {
		return object, nil
	}
	value, err := encode(source, "payload")
	if err != nil {
		return nil, err
	}
	if value.GetStructValue() == nil {
		return nil, &UnsupportedValueError{"payload", fmt.Sprintf("must be an object with names, not %T", source)}
	}
	return value.GetStructValue(), nil
}

// Decode stores a payload or a result in the value that target points to, as encoding/json does.
func Decode[T *structpb.Struct | *structpb.Value](source T, target any) error {
	var plain any
	switch s := any(source).(type) {
	case *structpb.Struct:
		plain = s.AsMap()
	case *structpb.Value:
		plain = s.AsInterface()
	}
	if whole, ok := target.(*any); ok {
		*whole = plain
		return nil
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, target)
}

// encode makes a Value of any Go value; `name` begins the path of what is wrong with it.
func encode(source any, name string) (*structpb.Value, error) {
	value, flaw := toValue(source, 0)
	if flaw != nil {
		return nil, flaw.within(name)
	}
	return value, nil
}

// within is the same error as seen from the value that holds this one as `part`.
func (e *UnsupportedValueError) within(part string) *UnsupportedValueError {
	joint := "."
	if e.Path == "" || strings.HasPrefix(e.Path, "[") {
		joint = ""
	}
	return &UnsupportedValueError{part + joint + e.Path, e.Description}
}

func flawed(format string, args ...any) (*structpb.Value, *UnsupportedValueError) {
	return nil, &UnsupportedValueError{Description: fmt.Sprintf(format, args...)}
}

func toValue(source any, depth int) (*structpb.Value, *UnsupportedValueError) {
	switch s := source.(type) {
	case nil:
		return structpb.NewNullValue(), nil
	case bool:
		return structpb.NewBoolValue(s), nil
	case string:
		if !utf8.ValidString(s) {
			return flawed("not valid Unicode")
		}
		return structpb.NewStringValue(s), nil
	case float64:
		if math.IsNaN(s) || math.IsInf(s, 0) {
			return flawed("%v is not a JSON number", s)
		}
		return structpb.NewNumberValue(s), nil
	case int:
		return integer(int64(s))
	case int64:
		return integer(s)
	case json.Number:
		return number(s)
	case map[string]any:
		return object(s, depth+1)
	case []any:
		return array(s, depth+1)
	case *structpb.Value:
		return s, nil
	case *structpb.Struct:
		return structpb.NewStructValue(s), nil
	}
	return throughJSON(source, depth)
}

func integer(source int64) (*structpb.Value, *UnsupportedValueError) {
	if source > maxInteger || source < -maxInteger {
		return flawed("an integer beyond 2^53 would lose digits; send it as a string")
	}
	return structpb.NewNumberValue(float64(source)), nil
}

func number(source json.Number) (*structpb.Value, *UnsupportedValueError) {
	if !strings.ContainsAny(string(source), ".eE") {
		whole, err := strconv.ParseInt(string(source), 10, 64)
		if err != nil {
			whole = math.MaxInt64
		}
		return integer(whole)
	}
	float, err := source.Float64()
	if err != nil {
		return flawed("%s is not a JSON number", source)
	}
	return structpb.NewNumberValue(float), nil
}

func object(source map[string]any, depth int) (*structpb.Value, *UnsupportedValueError) {
	if depth > maxDepth {
		return flawed("nested deeper than %d levels", maxDepth)
	}
	fields := make(map[string]*structpb.Value, len(source))
	for key, item := range source {
		value, flaw := toValue(item, depth)
		if flaw != nil {
			return nil, flaw.within(key)
		}
		if !utf8.ValidString(key) {
			_, flaw := flawed("not valid Unicode")
			return nil, flaw.within(strconv.QuoteToASCII(key))
		}
		fields[key] = value
	}
	return structpb.NewStructValue(&structpb.Struct{Fields: fields}), nil
}

func array(source []any, depth int) (*structpb.Value, *UnsupportedValueError) {
	if depth > maxDepth {
		return flawed("nested deeper than %d levels", maxDepth)
	}
	values := make([]*structpb.Value, len(source))
	for i, item := range source {
		value, flaw := toValue(item, depth)
		if flaw != nil {
			return nil, flaw.within("[" + strconv.Itoa(i) + "]")
		}
		values[i] = value
	}
	return structpb.NewListValue(&structpb.ListValue{Values: values}), nil
}

func throughJSON(source any, depth int) (*structpb.Value, *UnsupportedValueError) {
	if kind := reflect.TypeOf(source).Kind(); kind == reflect.Func || kind == reflect.Chan {
		return flawed("%T is not JSON", source)
	}
	text, err := json.Marshal(source)
	if err != nil {
		return flawed("%v", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var plain any
	if err := decoder.Decode(&plain); err != nil {
		return flawed("%v", err)
	}
	return toValue(plain, depth)
}

// clip is the text as UTF-8, cut to `size` bytes.
func clip(text string, size int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= size {
		return text
	}
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	return text[:size]
}
