package taskwheel

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

// The server that all tests share.
var address string

// TestMain starts a server with the taskwheel command that TASKWHEEL names, by default that of this checkout's .venv;
// TASKWHEEL_TEST_ADDRESS names a server that is up already.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(run(m))
}

func run(m *testing.M) int {
	address = os.Getenv("TASKWHEEL_TEST_ADDRESS")
	if address == "" {
		folder, err := os.MkdirTemp("", "taskwheel")
		if err != nil {
			log.Fatal(err)
		}
		defer os.RemoveAll(folder)
		server, err := startServer(folder)
		if err != nil {
			log.Fatal("no server to test with: ", err)
		}
		defer server.stop()
		address = server.address
	}
	return m.Run()
}

type server struct {
	address string
	process *exec.Cmd
}

// startServer starts a server on a free port, with a database in the folder.
func startServer(folder string, args ...string) (*server, error) {
	command := os.Getenv("TASKWHEEL")
	if command == "" {
		command = "../../.venv/bin/taskwheel"
	}
	args = append([]string{
		"serve", "--listen", "127.0.0.1:0", "--database-url", "sqlite:///" + filepath.Join(folder, "test.db"),
	}, args...)
	process := exec.Command(command, args...)
	output, err := process.StderrPipe()
	if err == nil {
		err = process.Start()
	}
	if err != nil {
		return nil, err
	}
	tooLate := time.AfterFunc(time.Minute, func() { process.Process.Kill() })
	defer tooLate.Stop()
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		var ready struct{ Event, Address string }
		if json.Unmarshal(lines.Bytes(), &ready) == nil && ready.Event == "ready" {
			go io.Copy(io.Discard, output)
			return &server{ready.Address, process}, nil
		}
	}
	return nil, fmt.Errorf("the server ended: %w", process.Wait())
}

func (s *server) stop() {
	s.process.Process.Signal(syscall.SIGTERM)
	s.process.Wait()
}

// connect makes a client that is closed after the test.
func connect(t *testing.T, target string, opts ...Option) *Client {
	t.Helper()
	client, err := NewClient(target, opts...)
	check(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

// soon is a context for what takes a minute at most, even on a busy machine.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newTask creates a task with an id and a handler of its own, both of the name that it answers.
func newTask(t *testing.T, client *Client, edit ...func(*pb.Task)) string {
	t.Helper()
	id := "go-" + rand.Text()
	task := &pb.Task{Target: WorkerTarget(id)}
	for _, change := range edit {
		change(task)
	}
	_, err := client.Tasks.CreateTask(soon(t), &pb.CreateTaskRequest{TaskId: id, Task: task})
	check(t, err)
	return id
}

// work starts a worker with one handler, and stops it after the test or when stop is called.
func work(t *testing.T, client *Client, name string, options WorkerOptions, handler Handler) (stop func()) {
	t.Helper()
	if options.Grace == 0 {
		options.Grace = 5 * time.Second
	}
	worker := client.NewWorker(options)
	worker.Handle(name, handler)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Error("the worker does not stop")
		}
	})
	t.Cleanup(stop)
	return stop
}

// proxy passes connections on to a server until it is cut, refused, or the test ends.
type proxy struct {
	address string
	target  string

	mu      sync.Mutex
	refuses bool
	open    []net.Conn
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	p := &proxy{address: listener.Addr().String(), target: target}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			p.pass(near)
		}
	}()
	t.Cleanup(func() { listener.Close(); p.cut(true) })
	return p
}

func (p *proxy) pass(near net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	far, err := net.Dial("tcp", p.target)
	if p.refuses || err != nil {
		near.Close()
		return
	}
	p.open = append(p.open, near, far)
	for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			io.Copy(pair[0], pair[1])
			pair[0].Close()
		}()
	}
}

// cut breaks all connections, and refuses new ones or takes them.
func (p *proxy) cut(refuses bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = refuses
	for _, conn := range p.open {
		conn.Close()
	}
	p.open = nil
}
