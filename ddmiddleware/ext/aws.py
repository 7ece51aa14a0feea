"""Keys of AWS tags."""

AGENT = "aws.agent"
AWSREGION = "aws.region"
OPERATION = "aws.operation"
PARTITION = "aws.partition"
REGION = "region"
