package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"os"

	taskwheel "example.com/taskwheel/go"
	pb "example.com/taskwheel/go/taskwheel/v1"
)

func main() {
	pem, err := os.ReadFile(os.Getenv("TASKWHEEL_CA_CERT"))
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		log.Fatal("TASKWHEEL_CA_CERT has no certificate")
	}
	client, err := taskwheel.NewClient("",
		taskwheel.WithTLS(&tls.Config{RootCAs: roots}), // Certificates: for mTLS; ServerName: if it is not the host's
		taskwheel.WithAPIKey(os.Getenv("TASKWHEEL_API_KEY")),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	info, err := client.Admin.GetServerInfo(context.Background(), &pb.GetServerInfoRequest{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("taskwheel", info.GetVersion(), "on", info.GetDatabase())
}
