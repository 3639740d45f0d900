# Two accounts: the data's owner has the keys, another has the host. Read docs/operations/deploy.md first; it says what
# comes before `terraform apply`, and in which order.

terraform {
  required_version = ">= 1.9.0, < 2.0.0"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

variable "region" {
  type    = string
  default = "eu-west-1"
}

variable "owner_profile" {
  description = "Of ~/.aws/config: an administrator of the keys, one of those that the key policies name."
  type        = string
}

variable "host_profile" {
  description = "Of ~/.aws/config: who sets up the host's account."
  type        = string
}

variable "ami_id" {
  type = string
}

variable "zone_ids" {
  type = list(string)
}

variable "release" {
  type = object({
    ephemeral_sha256  = string
    image_sha256      = string
    policy_key_sha256 = string
    schedules_sha256  = string
  })
}

variable "submitter_arns" {
  type    = list(string)
  default = []
}

variable "tenants" {
  type    = map(list(string))
  default = {}
}

variable "owner_trail_log_group" {
  type = string
}

variable "alarm_email" {
  type = string
}

provider "aws" {
  alias   = "owner"
  region  = var.region
  profile = var.owner_profile
}

provider "aws" {
  alias   = "host"
  region  = var.region
  profile = var.host_profile
}

module "keys" {
  source    = "../../modules/keys"
  providers = { aws = aws.owner }

  # Samples: generate your own, and lint them, before anything is applied.
  epoch_key_policy_file     = "${path.module}/policies/epoch-key.json"
  model_key_policy_files    = { models-team = "${path.module}/policies/model-key.json" }
  instance_role_arn         = module.host.instance_role_arn
  cloudtrail_log_group_name = var.owner_trail_log_group
  alarm_email               = var.alarm_email
}

module "host" {
  source    = "../../modules/host"
  providers = { aws = aws.host }

  region         = var.region
  ami_id         = var.ami_id
  zone_ids       = var.zone_ids
  release        = var.release
  key_arns       = concat([module.keys.epoch_key_arn], values(module.keys.model_key_arns))
  submitter_arns = var.submitter_arns
  tenants        = var.tenants
  alarm_email    = var.alarm_email
}

output "epoch_key_arn" {
  value = module.keys.epoch_key_arn
}

output "model_key_arns" {
  value = module.keys.model_key_arns
}

output "store" {
  value = module.host.store
}

output "bucket" {
  value = module.host.bucket
}
