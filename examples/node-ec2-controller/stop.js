'use strict';

const { controller, ec2, send } = require('./util');

/** Stops the instance. One that is stopped already stays as it is. */
exports.handler = controller('stop', async (instanceId) => {
  const { StopInstancesCommand } = ec2();
  const { StoppingInstances: [instance] } = await send(new StopInstancesCommand({ InstanceIds: [instanceId] }));
  return instance.CurrentState.Name;
});
