package graph

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// CredentialKind names a way to authenticate to Microsoft Entra ID.
type CredentialKind string

// The kinds. Environment reads AZURE_TENANT_ID, AZURE_CLIENT_ID and a secret or
// certificate; Workload the federated token of a Kubernetes pod; Managed asks
// the machine's managed identity; CLI is for a developer's machine. Chain tries
// those that need no secret (workload, managed, CLI) and Default is azidentity's
// DefaultAzureCredential.
const (
	EnvironmentCredential CredentialKind = "environment"
	WorkloadCredential    CredentialKind = "workload"
	ManagedCredential     CredentialKind = "managed"
	CLICredential         CredentialKind = "cli"
	ChainCredential       CredentialKind = "chain"
	DefaultCredential     CredentialKind = "default"
)

// CredentialKinds lists all kinds, for help texts and errors.
func CredentialKinds() []CredentialKind {
	return []CredentialKind{EnvironmentCredential, WorkloadCredential, ManagedCredential,
		CLICredential, ChainCredential, DefaultCredential}
}

// CredentialOptions configure NewCredential. The zero value is a
// DefaultCredential for the public cloud and the identity's own tenant.
type CredentialOptions struct {
	Kind  CredentialKind
	Cloud Cloud
	// Tenants are all tenants that tokens will be asked for, the default first;
	// empty means AZURE_TENANT_ID or the identity's own.
	Tenants []string
	// AuthorityHost overrides AZURE_AUTHORITY_HOST and that of Cloud.
	AuthorityHost string
	// DisableInstanceDiscovery skips asking Microsoft whether the authority is
	// genuine; for authorities that Microsoft does not know.
	DisableInstanceDiscovery bool
	// Transport carries the token requests; nil means azcore's.
	Transport http.RoundTripper
	// Getenv reads AZURE_*; nil means os.Getenv. Managed and Default read more
	// of the process's own environment.
	Getenv func(string) string
}

// NewCredential makes an azidentity credential, or says what is missing. It
// sends nothing. azidentity's retries are off: the next request asks again.
func NewCredential(o CredentialOptions) (azcore.TokenCredential, error) {
	if o.Kind == "" {
		o.Kind = DefaultCredential
	}
	if o.Cloud == "" {
		o.Cloud = PublicCloud
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if err := o.Cloud.check(); err != nil {
		return nil, err
	}
	credential, err := o.make()
	if err != nil {
		return nil, fmt.Errorf("%s credential: %w", o.Kind, err)
	}
	return credential, nil
}

// CredentialFactory returns an Options.NewCredential: a credential of its own
// for every tenant, so that an outage of one tenant's authority holds nobody
// else up. Call NewCredential with the same options first to learn of mistakes
// at start.
func CredentialFactory(o CredentialOptions) func(tenant string) (azcore.TokenCredential, error) {
	return func(tenant string) (azcore.TokenCredential, error) {
		own := o
		if tenant != "" {
			rest := slices.DeleteFunc(slices.Clone(o.Tenants), func(t string) bool { return t == tenant })
			own.Tenants = append([]string{tenant}, rest...)
		}
		return NewCredential(own)
	}
}

func (o CredentialOptions) make() (azcore.TokenCredential, error) {
	switch o.Kind {
	case EnvironmentCredential:
		return o.environment()
	case WorkloadCredential:
		return o.workload()
	case ManagedCredential:
		if len(o.Tenants) > 1 {
			return nil, errors.New("a managed identity has tokens for its own tenant only: configure one tenant")
		}
		return o.managed()
	case CLICredential:
		return o.cli()
	case ChainCredential:
		return o.chain()
	case DefaultCredential:
		return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
			ClientOptions:              o.clientOptions(),
			AdditionallyAllowedTenants: o.Tenants,
			DisableInstanceDiscovery:   o.DisableInstanceDiscovery,
			TenantID:                   o.tenant(),
		})
	default:
		return nil, fmt.Errorf("unknown kind: want one of %v", CredentialKinds())
	}
}

// environment reads the variables that azidentity's EnvironmentCredential reads
// for a service principal; that one cannot be told which tenants are allowed.
func (o CredentialOptions) environment() (azcore.TokenCredential, error) {
	tenant, client := o.tenant(), o.Getenv("AZURE_CLIENT_ID")
	secret, certificate := o.Getenv("AZURE_CLIENT_SECRET"), o.Getenv("AZURE_CLIENT_CERTIFICATE_PATH")
	switch {
	case tenant == "":
		return nil, errors.New("AZURE_TENANT_ID is not set")
	case client == "":
		return nil, errors.New("AZURE_CLIENT_ID is not set")
	case secret != "":
		return azidentity.NewClientSecretCredential(tenant, client, secret, &azidentity.ClientSecretCredentialOptions{
			ClientOptions:              o.clientOptions(),
			AdditionallyAllowedTenants: o.Tenants,
			DisableInstanceDiscovery:   o.DisableInstanceDiscovery,
		})
	case certificate != "":
		return o.certificate(tenant, client, certificate)
	default:
		return nil, errors.New("neither AZURE_CLIENT_SECRET nor AZURE_CLIENT_CERTIFICATE_PATH is set")
	}
}

func (o CredentialOptions) certificate(tenant, client, path string) (azcore.TokenCredential, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("AZURE_CLIENT_CERTIFICATE_PATH: %w", err)
	}
	var password []byte // nil where there is none
	if p := o.Getenv("AZURE_CLIENT_CERTIFICATE_PASSWORD"); p != "" {
		password = []byte(p)
	}
	chain, key, err := azidentity.ParseCertificates(data, password)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	sendChain := o.Getenv("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN")
	return azidentity.NewClientCertificateCredential(tenant, client, chain, key, &azidentity.ClientCertificateCredentialOptions{
		ClientOptions:              o.clientOptions(),
		AdditionallyAllowedTenants: o.Tenants,
		DisableInstanceDiscovery:   o.DisableInstanceDiscovery,
		SendCertificateChain:       sendChain == "1" || strings.EqualFold(sendChain, "true"),
	})
}

func (o CredentialOptions) workload() (azcore.TokenCredential, error) {
	return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions:              o.clientOptions(),
		AdditionallyAllowedTenants: o.Tenants,
		ClientID:                   o.Getenv("AZURE_CLIENT_ID"),
		TenantID:                   o.tenant(),
		TokenFilePath:              o.Getenv("AZURE_FEDERATED_TOKEN_FILE"),
		DisableInstanceDiscovery:   o.DisableInstanceDiscovery,
	})
}

// managed uses the identity that AZURE_CLIENT_ID names, else the machine's own.
func (o CredentialOptions) managed() (azcore.TokenCredential, error) {
	options := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: o.clientOptions()}
	if id := o.Getenv("AZURE_CLIENT_ID"); id != "" {
		options.ID = azidentity.ClientID(id)
	}
	return azidentity.NewManagedIdentityCredential(options)
}

func (o CredentialOptions) cli() (azcore.TokenCredential, error) {
	return azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{
		AdditionallyAllowedTenants: o.Tenants,
		TenantID:                   o.tenant(),
	})
}

// chain holds what can be constructed here; which of them works shows when a
// token is asked for, and that one is kept.
func (o CredentialOptions) chain() (azcore.TokenCredential, error) {
	var sources []azcore.TokenCredential
	var missing []error
	links := []func() (azcore.TokenCredential, error){o.workload, o.managed, o.cli}
	if len(o.Tenants) > 1 {
		links = []func() (azcore.TokenCredential, error){o.workload, o.cli} // see ManagedCredential
	}
	for _, link := range links {
		if source, err := link(); err != nil {
			missing = append(missing, err)
		} else {
			sources = append(sources, source)
		}
	}
	if len(sources) == 0 {
		return nil, errors.Join(missing...)
	}
	return azidentity.NewChainedTokenCredential(sources, nil)
}

func (o CredentialOptions) tenant() string {
	if len(o.Tenants) > 0 {
		return o.Tenants[0]
	}
	return o.Getenv("AZURE_TENANT_ID")
}

func (o CredentialOptions) clientOptions() azcore.ClientOptions {
	options := azcore.ClientOptions{
		Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: firstOf(
			o.AuthorityHost, o.Getenv("AZURE_AUTHORITY_HOST"), o.Cloud.Authority())},
		Retry: policy.RetryOptions{MaxRetries: -1},
	}
	if o.Transport != nil {
		options.Transport = &http.Client{Transport: o.Transport}
	}
	return options
}
