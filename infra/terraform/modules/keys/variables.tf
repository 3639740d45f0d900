variable "name" {
  description = "Prefix of all names."
  type        = string
  default     = "ephemeral"
}

variable "epoch_key_policy_file" {
  description = "What `ephemeral policy kms-generate --use epoch` wrote, and `kms-lint` passed."
  type        = string
}

variable "model_key_policy_files" {
  description = "What `ephemeral policy kms-generate --use model` wrote, by the name of the model owner."
  type        = map(string)
  default     = {}
}

variable "instance_role_arn" {
  description = "ARN of the host's role (output of the module host). KMS refuses a policy that names a role which is not there, so this also orders the two modules."
  type        = string
}

variable "cloudtrail_log_group_name" {
  description = "Log group of this account's CloudTrail trail (management events of all Regions)."
  type        = string
}

variable "alarm_email" {
  description = "Who is told when the policy of a key changes, or a request without attestation is refused."
  type        = string
}
