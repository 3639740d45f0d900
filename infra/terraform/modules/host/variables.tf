variable "name" {
  description = "Prefix of all names."
  type        = string
  default     = "ephemeral"
}

variable "region" {
  description = "Region of the host and of the keys."
  type        = string
}

variable "role_name" {
  description = "Name of the instance's role. Key policies name its ARN, so it is chosen before they are generated."
  type        = string
  default     = "ephemeral-host"
}

variable "key_arns" {
  description = "ARNs of the epoch key and of the model keys, in the data owner's account."
  type        = list(string)
  validation {
    condition     = alltrue([for arn in var.key_arns : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "Each must be a full key ARN, no alias."
  }
}

variable "submitter_arns" {
  description = "Roles, of any account, that put bundles anywhere into the inbox and fetch results: for a host with one team. Ciphertext only; what they may compute is the signed policy's business."
  type        = list(string)
  default     = []
}

variable "tenants" {
  description = "Roles by tenant: each puts bundles into its tenant's folder of a queue's inbox alone (inbox/<queue>/<tenant>/), so that no team can take another's turn; its people set EPHEMERAL_TENANT. A bucket policy has room for some fifty tenants."
  type        = map(list(string))
  default     = {}
  validation {
    condition     = alltrue([for name, arns in var.tenants : can(regex("^[a-z0-9_-]{1,63}$", name)) && length(arns) > 0])
    error_message = "A tenant's name has 1 to 63 of a-z 0-9 - _, and each tenant has a role."
  }
}

variable "ami_id" {
  description = "Amazon Linux 2023 for the instance type's architecture."
  type        = string
}

variable "instance_type" {
  description = "Enclave-enabled, at least 4 vCPUs."
  type        = string
  default     = "m6i.2xlarge"
}

variable "enclave" {
  description = "What the enclave has: whole cores, at least one of which stays with the instance, and memory of at least four times the image plus the model."
  type = object({
    cid        = optional(number, 16)
    cpus       = optional(number, 4)
    memory_mib = optional(number, 8192)
  })
  default = {}
}

variable "release" {
  description = "SHA-256 of what the operator puts below s3://BUCKET/release/: ephemeral.tar.gz (bin/, lib/), ephemeralml.eif, policy.pub, schedules.tar.gz."
  type = object({
    ephemeral_sha256  = string
    image_sha256      = string
    policy_key_sha256 = string
    schedules_sha256  = string
  })
}

variable "zone_ids" {
  description = "Availability zones by their ids, such as euw1-az1, in which the instance type exists."
  type        = list(string)
  validation {
    condition     = length(var.zone_ids) >= 1 && length(var.zone_ids) <= 4
    error_message = "One to four zones."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the VPC; nothing outside is reachable but the endpoints."
  type        = string
  default     = "10.71.0.0/24"
}

variable "object_lock_days" {
  description = "Days that no version of an object can be deleted, in compliance mode; 0 for none. Can be set only when the bucket is made."
  type        = number
  default     = 0
}

variable "noncurrent_days" {
  description = "Days that replaced and deleted versions are kept."
  type        = number
  default     = 90
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 400
}

variable "cloudtrail_log_group_name" {
  description = "Log group of this account's CloudTrail trail; null leaves out the alarm on KMS's refusals here (the module keys has its own)."
  type        = string
  default     = null
}

variable "alarm_email" {
  description = "Who is told when the host does not work."
  type        = string
}
